#!/usr/bin/env python3
"""The REST interface against its own document: schemathesis makes requests up from docs/openapi.yaml and checks every answer.

    rest_schemathesis.py [--products .build/debug] [--examples 50]
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import jsonschema
import yaml

import serve_alone
from serve_alone import ROOT, check


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--products", default=ROOT / ".build/debug")
    options.add_argument("--examples", default="50")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="packbridge-") as folder:
        configuration = {"web": {"port": 0}, "history": {"path": f"{folder}/history.db"}}
        with serve_alone.running(chosen.products, configuration, folder=folder) as serve:
            def live_snapshot():
                validate(serve)

            def made_up_requests():
                fuzz(serve, folder, chosen.examples)

            return serve_alone.judge(live_snapshot, made_up_requests)


def fuzz(serve, folder, examples):
    """Whatever is asked, the answer is one that the document names."""
    document = pathlib.Path(folder) / "openapi.yaml"
    document.write_bytes(serve.get("/api/v1/openapi.yaml"))
    # The stream never ends, so it is left to the tests that know it.
    command = [
        "schemathesis", "run", str(document), "--url", f"http://127.0.0.1:{serve.port}", "--max-examples",
        examples, "--exclude-path", "/api/v1/stream", "--header", "X-CSRF-Token: schemathesis",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--generation-deterministic", "--phases", "examples,fuzzing",
    ]
    code = subprocess.run([pathlib.Path(sys.executable).parent / command[0], *command[1:]]).returncode
    check(code == 0, "schemathesis found contradictions")
    check(serve.process.poll() is None, "packbridge-serve did not survive")


def validate(serve):
    """A live snapshot and the example fit the schema."""
    document = yaml.safe_load(serve.get("/api/v1/openapi.yaml"))
    schema = {"$ref": "#/components/schemas/Snapshot", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(serve.json("/api/v1/snapshot"))


if __name__ == "__main__":
    sys.exit(main())
