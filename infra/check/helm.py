"""Values of Prefect's charts, and the base job template of its Kubernetes worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from infra.check.charts import SCHEMAS
from infra.check.common import Fault, Tools, documents, holds_secret, unpinned, walk
from infra.check.kubernetes import check_objects


def check_values(path: Path, root: Path, secrets: dict[str, list[str]]) -> Iterator[Fault]:
    """Faults of a chart's values."""
    shown = str(path.relative_to(root))
    schema = SCHEMAS.get(path.name)
    if schema is None:
        yield Fault(shown, "", f"values of an unknown chart; known are {', '.join(SCHEMAS)}")
        return
    (found,) = documents(path)
    for error in Draft202012Validator(schema).iter_errors(found):
        yield Fault(shown, ".".join(map(str, error.absolute_path)), error.message)
    for place, value in walk(found):
        image = (
            f"{value.get('repository')}:{value['prefectTag']}"
            if isinstance(value, dict) and "prefectTag" in value
            else None
        )
        if image is not None and (wrong := unpinned(image)):
            yield Fault(shown, place, wrong)
        if isinstance(value, dict) and holds_secret(str(value.get("name", "")), value.get("value")):
            yield Fault(shown, f"{place}.{value['name']}", "a secret in plain sight")
        if place.endswith("existingSecret") and value not in secrets:
            yield Fault(shown, place, f"there is no secret {value} in secrets.yaml")


def check_template(path: Path, root: Path, secrets: dict[str, list[str]], tools: Tools) -> Iterator[Fault]:
    """Faults of a base job template, and of the job that its defaults make."""
    shown = str(path.relative_to(root))
    found = json.loads(path.read_text())
    variables = found["variables"]["properties"]
    try:
        Draft202012Validator.check_schema(found["variables"])
    except Exception as error:
        yield Fault(shown, "variables", str(error).splitlines()[0])
        return
    for name, variable in variables.items():
        if "default" in variable:
            yield from (
                Fault(shown, f"variables.{name}.default", error.message)
                for error in Draft202012Validator(variable).iter_errors(variable["default"])
            )
    made, unknown = render(found["job_configuration"], variables)
    yield from (Fault(shown, "job_configuration", f"{{{{ {name} }}}} is no variable") for name in unknown)
    if not unknown:
        manifest = made["job_manifest"]
        manifest["metadata"]["name"] = manifest["metadata"].pop("generateName", "") + "0"  # as the API will do
        yield from check_objects(shown, [manifest], secrets, tools)


def render(configuration: dict[str, Any], variables: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The configuration with the defaults, as Prefect's worker makes it, and names that are no variables."""
    from prefect.utilities.templating import apply_values, find_placeholders

    unknown = sorted({one.name for one in find_placeholders(configuration)} - set(variables))
    values = {name: variable.get("default") for name, variable in variables.items()}
    # What the worker itself puts in.
    values |= {
        "name": "a-run",
        "command": ["prefect", "flow-run", "execute"],
        "env": [{"name": "PREFECT_API_URL", "value": "http://x"}],
    }
    return apply_values(configuration, values), unknown
