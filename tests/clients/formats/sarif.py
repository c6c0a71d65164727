"""Fails on errors and warnings in what the SARIF validator wrote.

    sarif.py FILE

Advice that does not fit is named here.
"""

import json
import sys

# The address of a project's own page: there is none yet.
SET_ASIDE = {"SARIF2005"}

with open(sys.argv[1], encoding="utf-8-sig") as file:
    runs = json.load(file)["runs"]
told = [
    f"{result['ruleId']} {result.get('level', 'warning')}: {result['message']}"
    for run in runs
    for result in run.get("results", [])
    if result.get("level", "warning") in ("error", "warning")
    and result["ruleId"] not in SET_ASIDE
]
if told:
    sys.exit("\n".join(told))
