"""The values of Prefect's charts (as of 2026) that we use or may: a name that is not here is more likely misspelt than new."""

from __future__ import annotations

from typing import Any

_ANY: dict[str, Any] = {}
_TEXT = {"type": "string", "minLength": 1}
_LIST = {"type": "array"}
_BOOLEAN = {"type": "boolean"}


def _fields(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_AUTH = _fields({"enabled": {"const": True}, "existingSecret": _TEXT}, "enabled", "existingSecret")
_IMAGE = _fields(
    {"repository": _TEXT, "prefectTag": _TEXT, "pullPolicy": _TEXT, "pullSecrets": _LIST}, "repository", "prefectTag"
)
_ACCOUNT = _fields({"create": _BOOLEAN, "name": _TEXT, "automountServiceAccountToken": _BOOLEAN, "annotations": _ANY})
_PODS = dict.fromkeys(
    (
        "resources", "affinity", "nodeSelector", "tolerations", "podLabels", "podAnnotations", "podSecurityContext",
        "containerSecurityContext", "extraVolumes", "extraVolumeMounts", "livenessProbe", "replicaCount", "priorityClassName",
    ),
    _ANY,
)  # fmt: skip
_SERVER = _fields(
    {
        **_PODS,
        "basicAuth": _AUTH,
        "automountServiceAccountToken": _BOOLEAN,
        "loggingLevel": _TEXT,
        "uiConfig": _fields({"prefectUiApiUrl": _TEXT}),
        "env": _LIST,
        "debug": {"const": False},
    },
    "basicAuth",
)
_WORKER = _fields(
    {
        **_PODS,
        "image": _IMAGE,
        "config": _fields(
            {
                "workPool": _TEXT,
                "workQueues": _LIST,
                "type": {"const": "kubernetes"},
                "installPolicy": {"const": "never"},  # what is installed at a start is another thing every day
                "limit": {"type": "integer", "minimum": 1},
                "baseJobTemplate": _ANY,
            },
            "workPool", "type", "installPolicy",
        ),
        "apiConfig": {"const": "selfHostedServer"},
        "selfHostedServerApiConfig": _fields({"apiUrl": _TEXT, "basicAuth": _AUTH}, "apiUrl", "basicAuth"),
        "extraEnvVars": _LIST,
    },
    "image", "config", "apiConfig", "selfHostedServerApiConfig",
)  # fmt: skip

SCHEMAS = {
    "prefect-server-values.yaml": _fields(
        {
            "global": _fields({"prefect": _fields({"image": _IMAGE, "env": _LIST}, "image")}, "prefect"),
            "server": _SERVER,
            "backgroundServices": _ANY,
            "migrations": _ANY,
            "serviceAccount": _ACCOUNT,
            "service": _ANY,
            "ingress": _ANY,
            # The chart's own database has a password that everybody knows.
            "postgresql": _fields({"enabled": {"const": False}}, "enabled"),
            "externalDatabase": _fields({"existingSecret": _TEXT, "connectionStringSecretKey": _TEXT}, "existingSecret"),
            "secret": _fields({"create": {"const": False}}, "create"),
        },
        "global", "server", "postgresql", "externalDatabase", "secret",
    ),
    "prefect-worker-values.yaml": _fields(
        {"worker": _WORKER, "serviceAccount": _ACCOUNT, "role": _ANY, "rolebinding": _ANY}, "worker"
    ),
}  # fmt: skip
