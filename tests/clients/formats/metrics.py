"""Reads OpenMetrics text as strictly as the specification asks for.

    metrics.py FILE REPORT.json

The parser of the Prometheus client accepts it, each family says what it is, and
the values are those of the JSON report of the same run.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

text = open(sys.argv[1], encoding="utf-8").read()
report = json.load(open(sys.argv[2], encoding="utf-8"))
samples = {}
for family in text_string_to_metric_families(text):
    assert family.type == "gauge", family
    assert family.documentation.endswith("."), family
    if family.unit:
        assert family.name.endswith("_" + family.unit), family
    assert family.samples, family
    for sample in family.samples:
        key = (sample.name, *sorted(sample.labels.items()))
        assert key not in samples, f"twice: {key}"
        samples[key] = sample.value


def equal(value, name, **labels):
    key = ("gocachevet_" + name, *sorted(labels.items()))
    assert samples.pop(key, None) == value, f"{key} is not {value}"


for cache in ("modcache", "buildcache"):
    if report[cache]:
        equal(report[cache]["bytes"], "cache_size_bytes", cache=cache)
        equal(report[cache]["files"], "cache_files", cache=cache)
    used = (report["usage"] or {}).get(cache)
    for field, name in {
        "hits": "cache_hits",
        "misses": "cache_misses",
        "idle": "cache_idle",
        "hit_rate": "cache_hit_ratio",
        "idle_bytes": "cache_idle_bytes",
    }.items():
        if used and used[field] is not None:
            equal(used[field], name, cache=cache)
equal(["pass", "warn", "fail"].index(report["verdict"]), "verdict")
for threshold in report["thresholds"]:
    equal(threshold["limit"], "threshold_limit", threshold=threshold["name"])
found = {}
for finding in report["findings"]:
    key = (finding["rule"], finding["level"])
    found[key] = found.get(key, 0) + 1
for (rule, level), number in found.items():
    equal(number, "findings", rule=rule, level=level)
rest = [key for key, value in samples.items() if key[0] == "gocachevet_findings" and value]
assert not rest, f"findings that the report does not have: {rest}"
