"""Checks manifests of Kubernetes against its own schemas, and prints the arguments of the
first container of each as JSON: {"load.yaml": ["loadgen", ...], ...}.

Needs PyPI's kubernetes-validate, which bundles the schemas.
"""

import json
import pathlib
import sys

import kubernetes_validate
import yaml

VERSION = "1.37"

args = {}
for path in map(pathlib.Path, sys.argv[1:]):
    for resource in yaml.safe_load_all(path.read_text()):
        try:
            kubernetes_validate.validate(resource, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            sys.exit(f"{path.name}: {error.message}")
        pod = resource["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", [])[:1]:
            args[path.name] = container["args"]
print(json.dumps(args))
