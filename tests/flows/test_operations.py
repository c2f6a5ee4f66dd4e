"""Parameters as forms, grids of builds, partitions, the graph, and the files of deployments and automations."""

from __future__ import annotations

import importlib
import inspect
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.automations import Automation
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, ValidationError

from flows import parameters
from flows.deployments import AUTOMATIONS, FILE
from flows.maintenance import grid, partitions
from flows.order import graph, needed
from flows.parameters import BackfillParameters, RenderParameters
from flows.prepare import at_partition, prepare
from flows.recipe import RecipeError, parse
from pipelines.jobs import JobError, passes
from pipelines.storage import StorageError

pytestmark = pytest.mark.engine  # importing flows imports Prefect

DEPLOYMENTS = yaml.safe_load(FILE.read_text())["deployments"]
MODELS = {
    "build_dataset": parameters.BuildParameters,
    "render_shards": parameters.RenderParameters,
    "train_model": parameters.TrainParameters,
    "backfill": parameters.BackfillParameters,
    "reap": parameters.ReapParameters,
    "retire": parameters.RetireParameters,
}


def _flow(entrypoint: str) -> Any:
    module, _, name = entrypoint.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: f"{one['flow_name']}/{one['name']}")
def test_a_deployment_names_a_flow_and_gives_it_what_it_takes(deployment: dict[str, Any]) -> None:
    flow = _flow(deployment["entrypoint"])
    assert flow.name == deployment["flow_name"]
    assert deployment["work_pool"]["name"] == "pixelpairs"
    assert "pixelpairs" in deployment["tags"], "the automation of silent runs finds them by this tag"
    assert set(deployment.get("parameters", {})) <= set(MODELS[flow.name].model_fields)


@pytest.mark.parametrize("name", MODELS)
def test_a_form_shows_every_field_with_its_description_and_bounds(name: str) -> None:
    """Prefect's form is drawn from this schema; a field that lost its words there would stand in it bare."""
    model: type[BaseModel] = MODELS[name]
    flow = next(_flow(one["entrypoint"]) for one in DEPLOYMENTS if one["flow_name"] == name)
    shown = parameter_schema(flow.fn).model_dump_for_openapi()["properties"]
    asked = model.model_json_schema()["properties"]
    assert list(shown) == list(asked)
    for field, schema in asked.items():
        assert shown[field]["description"] == schema["description"]
        for bound in ("minimum", "maximum", "minLength", "pattern", "maxItems", "enum"):
            assert _bounds(shown[field], bound) == _bounds(schema, bound), (field, bound)


def _bounds(schema: dict[str, Any], bound: str) -> list[Any]:
    here = [schema[bound]] if bound in schema else []
    return here + [value for inner in schema.get("anyOf", []) for value in _bounds(inner, bound)]


def test_a_flow_refuses_what_its_model_refuses() -> None:
    flow = _flow("flows.build.build_dataset")
    with pytest.raises(ParameterTypeError, match="workers"):
        flow.validate_parameters({"recipe": "a", "root": "b", "workers": 0})
    with pytest.raises(ValidationError, match="nothing between"):
        RenderParameters(recipe="a", root="b", first=3, last=3)


def test_a_grid_of_days_and_names() -> None:
    asked = BackfillParameters(
        recipe="r.yaml", root="/x", first=date(2024, 2, 28), last=date(2024, 3, 2), step_days=2, partitions=["a", "b"]
    )
    assert list(partitions(asked)) == ["2024-02-28-a", "2024-02-28-b", "2024-03-01-a", "2024-03-01-b"]
    cells = grid(asked)
    assert [cell.parameters["partition"] for cell in cells] == list(partitions(asked))
    assert len({cell.key for cell in cells}) == 4
    assert [cell.key for cell in grid(asked)] == [cell.key for cell in cells], "the same grid has the same keys"
    other = grid(asked.model_copy(update={"root": "/y"}))
    assert not {cell.key for cell in other} & {cell.key for cell in cells}, "another root is another build"


def test_a_grid_fills_in_paths() -> None:
    (cell,) = grid(BackfillParameters(recipe="r/{partition}.yaml", root="/x/{partition}", partitions=["de"]))
    assert cell.parameters == {"recipe": "r/de.yaml", "root": "/x/de"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "name days"),
        ({"first": "2024-01-01"}, "go together"),
        ({"first": "2024-01-02", "last": "2024-01-01"}, "is before"),
        ({"partitions": ["../x"]}, "pattern"),
        ({"partitions": ["a"], "step_days": 0}, "greater than or equal to 1"),
    ],
)
def test_a_grid_that_is_none(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BackfillParameters.model_validate({"recipe": "r", "root": "x", **asked})


def test_a_grid_that_is_too_large_or_has_a_cell_twice() -> None:
    with pytest.raises(ValueError, match="366 builds, most = 100"):
        grid(BackfillParameters(recipe="r", root="x", first=date(2024, 1, 1), last=date(2024, 12, 31)))
    with pytest.raises(ValueError, match="one name"):
        grid(BackfillParameters(recipe="r", root="x", partitions=["a", "a"]))


RECIPE = """
name: days
sources:
  docs: {type: documents, path: "in/{partition}/*.jsonl"}
  lines: {type: bitext, left: "{partition}.de", right: ["{partition}.en"], languages: [de, en]}
pairs: {sentences: {}, translations: {}, word_drop: {}}
"""


def test_a_partition_fills_in_the_sources_and_the_name() -> None:
    made = at_partition(parse(RECIPE), "2024-01.A", "r.yaml")
    assert made.name == "days_2024_01_a"
    assert made.sources["docs"].path == "in/2024-01.A/*.jsonl"
    assert (made.sources["lines"].left, made.sources["lines"].right) == ("2024-01.A.de", ["2024-01.A.en"])


def test_a_partition_that_is_missing_or_has_no_place() -> None:
    with pytest.raises(RecipeError, match="say which"):
        at_partition(parse(RECIPE), None, "r.yaml")
    with pytest.raises(RecipeError, match="changes nothing"):
        at_partition(parse(RECIPE.replace("{partition}", "x")), "a", "r.yaml")
    with pytest.raises(RecipeError, match="more than 64"):
        at_partition(parse(RECIPE), "a" * 64, "r.yaml")


def test_a_part_of_the_graph_is_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One is here. Another follows it."}\n')
    for side in ("de", "en"):
        (tmp_path / f"x.{side}").write_text("a\n")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.replace("in/{partition}/*", "a").replace("{partition}", "x"))
    nodes = graph(prepare(str(recipe), str(tmp_path / "root")), {})
    assert list(nodes)[-1].startswith("verify-")
    part = [node.name for node in needed(nodes, ["render-word_drop"])]
    assert part == ["annotate-docs", "select-sentences", "word_drop", "render-word_drop"]
    order = list(nodes)
    assert all(order.index(before) < order.index(node.name) for node in nodes.values() for before in node.after)


@pytest.mark.parametrize("path", sorted(AUTOMATIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_automation_is_one_once_its_names_are_ids(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    known = {f"{one['flow_name']}/{one['name']}" for one in DEPLOYMENTS}
    for action in content["actions"]:
        if "deployment" in action:
            assert action.pop("deployment") in known
            action["deployment_id"] = "00000000-0000-0000-0000-000000000001"
            assert set(action["parameters"]) <= set(MODELS["train_model"].model_fields)
        if action.pop("block", None):
            action["block_document_id"] = "00000000-0000-0000-0000-000000000002"
    Automation.model_validate(content)


@pytest.mark.parametrize("name", ["build_dataset", "render_shards"])
def test_hooks_take_what_prefect_gives_them(name: str) -> None:
    """The worker's runner calls them by these names: another name once made it stop no job, and say so in its log alone."""
    flow = next(_flow(one["entrypoint"]) for one in DEPLOYMENTS if one["flow_name"] == name)
    hooks = [*flow.on_cancellation_hooks, *flow.on_crashed_hooks]
    assert len(hooks) == 2
    for hook in hooks:
        inspect.signature(hook).bind(flow=None, flow_run=None, state=None)


def test_what_can_pass_is_told_from_what_cannot() -> None:
    lost = JobError("the cluster does not answer", expected=True, passing=True)
    assert passes(lost)
    assert passes(_caused(JobError("a task failed", expected=False), ConnectionResetError()))
    assert passes(_caused(StorageError("s3://x"), OSError(110, "timed out")))
    for comes_again in (
        JobError("bad rows", expected=True),
        StorageError("the output disk is full"),
        OSError(28, "no space"),
        ValueError("x"),
        FileNotFoundError(2, "gone"),
        None,
    ):
        assert not passes(comes_again), comes_again


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error
