"""Checks the Grafana dashboard as far as that goes without Grafana.

    dashboard.py DASHBOARD METRICS...

What Grafana needs is there and unambiguous, panels do not overlap, and every
expression asks for metrics that the program wrote into METRICS. The expressions
go to standard output as recording rules, for promtool to parse.
"""

import json
import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

dashboard = json.load(open(sys.argv[1], encoding="utf-8"))
written = {
    sample.name
    for name in sys.argv[2:]
    for family in text_string_to_metric_families(open(name, encoding="utf-8").read())
    for sample in family.samples
}
wrong = []


def need(truth, what):
    if not truth:
        wrong.append(what)


for key, kind in {
    "uid": str,
    "title": str,
    "schemaVersion": int,
    "panels": list,
    "templating": dict,
    "time": dict,
}.items():
    need(isinstance(dashboard.get(key), kind), f"{key} is no {kind.__name__}")
variables = {variable["name"] for variable in dashboard["templating"]["list"]}
ids, cells, expressions = set(), {}, []
for panel in dashboard["panels"]:
    title = panel["title"]
    need(panel["id"] not in ids, f"{title}: its id is another panel's")
    ids.add(panel["id"])
    place = panel["gridPos"]
    need(place["x"] >= 0 and place["x"] + place["w"] <= 24, f"{title}: outside the grid")
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            need((x, y) not in cells, f"{title} overlaps {cells.get((x, y))}")
            cells[x, y] = title
    need(panel["description"] and panel["fieldConfig"]["defaults"]["unit"], f"{title}: no description or unit")
    need(panel["targets"], f"{title}: asks for nothing")
    refs = [target["refId"] for target in panel["targets"]]
    need(len(set(refs)) == len(refs), f"{title}: a refId twice")
    for target in panel["targets"]:
        need(target["datasource"]["uid"] == "${datasource}", f"{title}: a data source of its own")
        expressions.append((title, target["expr"]))
for title, expression in expressions:
    metrics = set(re.findall(r"gocachevet_\w+", expression))
    need(metrics, f"{title}: none of our metrics")
    need(metrics <= written, f"{title}: not written by any run: {sorted(metrics - written)}")
    used = set(re.findall(r"\$\{?(\w+)", expression))
    need(used <= variables, f"{title}: unknown variables {sorted(used - variables)}")
if wrong:
    sys.exit("\n".join(dict.fromkeys(wrong)))
rules = [
    {"record": f"dashboard:{number}", "expr": expression.replace("$project", ".*")}
    for number, (_, expression) in enumerate(expressions)
]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
