"""Expands infra/template.yaml as `sam deploy` does, and prints it as JSON.

For `ops deploy`, which puts the packages' place in, and for checks without an account: each function's code is
`<binary>.zip` in an invented bucket. Needs aws-sam-translator, which infra/package and .ci/run install.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

template = yaml_parse(pathlib.Path(__file__).with_name("template.yaml").read_text())
del template["Globals"]["Function"]["CodeUri"]
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        binary = resource["Metadata"]["BuildProperties"]["Binary"]
        resource["Properties"]["CodeUri"] = {"Bucket": "packages", "Key": f"{binary}.zip"}
# No managed policies are named, so none have to be looked up.
json.dump(Translator({}, Parser()).translate(template, {}), sys.stdout, indent=1)
