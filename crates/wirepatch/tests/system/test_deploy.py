"""What lies in deploy/: the tools that will read it accept it, and it names nothing that is not
there."""

import json
import os
import re
import shutil
import subprocess

import test_traffic
from lab import ROOT, SERVER, Lab, NotHere, OnRequest

DEPLOY = os.path.join(ROOT, "deploy")
RULES = os.path.join(DEPLOY, "prometheus/wirepatch.rules.yml")
DASHBOARD = os.path.join(DEPLOY, "grafana/wirepatch.json")


def tool(name):
    path = shutil.which(name)
    if path is None:
        raise NotHere(f"{name} is not installed")
    return path


def passes(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_prometheus_takes_the_configuration_and_the_rules():
    promtool = tool("promtool")
    folder = os.path.join(DEPLOY, "prometheus")
    passes(promtool, "check", "config", "prometheus.yml", cwd=folder)
    passes(promtool, "check", "rules", "wirepatch.rules.yml", cwd=folder)
    passes(promtool, "test", "rules", "wirepatch.rules.test.yml", cwd=folder)


def test_prometheus_scrapes_where_the_sample_configuration_listens():
    listens = re.search(r"\n  listen: (\S+)", read(os.path.join(DEPLOY, "wirepatch.yaml")))[1]
    assert f'targets: ["{listens}"]' in read(os.path.join(DEPLOY, "prometheus/prometheus.yml")), listens


def test_every_alert_is_tested_and_says_what_to_do():
    rules = read(RULES)
    alerts = re.findall(r"- alert: (\w+)", rules)
    tested = set(re.findall(r'alertname="(\w+)"', read(RULES.replace(".rules.yml", ".rules.test.yml"))))
    assert alerts and set(alerts) == tested, set(alerts) ^ tested
    assert rules.count("description: ") == rules.count("summary: ") == len(alerts)


def expressions():
    """Every PromQL expression of the rules and the dashboard."""
    found = re.findall(r"expr: (?:>-\n\s+)?(.+(?:\n {10}\S.*)*)", read(RULES))

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("expr"), str):
                found.append(node["expr"])
            node = list(node.values())
        if isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(json.loads(read(DASHBOARD)))
    return found


def documented():
    """The families of docs/metrics.md, each with the line that has its labels."""
    page = read(os.path.join(ROOT, "docs/metrics.md"))
    return dict(re.findall(r"^### (wirepatch_\w+)\n.*?((?:No labels|Labels: [^\n]+)\.)$", page, re.M | re.S))


def test_rules_and_dashboard_name_what_is_exported():
    families = documented()
    dates = "title: a test patch\nvendor_fix: { id: T, released: 2020-01-01 }\npostpone_until: 2099-01-01\n"
    patch = re.sub("title: .*\n", dates, test_traffic.PATCH)
    # The rings have metrics of their own.
    with Lab(layout="rings") as lab:
        groups = test_traffic.web(lab)
        lab.write("shorten.yaml", patch)
        lab.start_box(lab.config(groups))
        command = ["curl", "-sS", "-m", "600", "-H", test_traffic.TRACE, f"http://{SERVER}/a"]
        lab.run("client", command)
        scrape = lab.metrics()
    live = set(re.findall(r"^(\w+)(?:\{| )", scrape, re.M))
    assert live == families.keys(), live ^ families.keys()
    for series in ('lcore_cycles_total{lcore="worker0",state="busy"}', 'lcore_cycles_total{lcore="worker0",state="idle"}',
                   'stage_cycles_total{worker="0",stage="patch"}', 'stage_sampled_packets_total{worker="0"}'):
        counted = re.search(rf"^wirepatch_{re.escape(series)} (\d+)", scrape, re.M)
        assert counted and int(counted[1]) > 0, f"{series} does not count"
    values = {label: set(re.findall(rf'{label}="([^"]+)"', scrape)) for label in ("reason", "cause", "result", "direction")}
    for expression in expressions():
        for name in re.findall(r"\bwirepatch_\w+", expression):
            assert name in families, f"{name} does not exist: {expression}"
        for name, matchers in re.findall(r"\b(wirepatch_\w+)\{([^}]*)\}", expression):
            for label, how, wanted in re.findall(r'(\w+)\s*(=~|!~|!=|=)"([^"]*)"', matchers):
                if label not in values:
                    assert label == "instance" or f'`{label}`' in families[name], f"{name} has no label {label}: {expression}"
                    continue
                assert f'`{label}`' in families[name], f"{name} has no label {label}: {expression}"
                for one in wanted.split("|") if "~" in how else [wanted]:
                    assert any(re.fullmatch(one, value) for value in values[label]), f"no {label} is {one}: {expression}"


def test_every_panel_of_the_dashboard_is_described():
    panels = [panel for panel in json.loads(read(DASHBOARD))["panels"] if panel["type"] != "row"]
    assert len(panels) > 10
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["description"].endswith((".", "?")) and panel["targets"], panel["title"]


def test_systemd_takes_the_unit():
    analyze = tool("systemd-analyze")
    # The binary is not installed here: the unit is checked with a program in its place that is.
    unit = read(os.path.join(DEPLOY, "systemd/wirepatch.service")).replace("/usr/bin/wirepatch", shutil.which("true"))
    folder = f"/tmp/wirepatch-unit-{os.getpid()}"
    os.makedirs(folder)
    try:
        path = os.path.join(folder, "wirepatch.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write(unit)
        said = passes(analyze, "verify", "--man=no", path)
        about = [line for line in said.splitlines() if "wirepatch.service" in line]
        assert not about, about
    finally:
        shutil.rmtree(folder)


def test_the_scripts_are_shell():
    scripts = [os.path.join(folder, name) for top in ("deploy", "scripts", ".ci") for folder, _, names in os.walk(os.path.join(ROOT, top))
               for name in names if name.endswith(".sh") or name == "run"]
    assert len(scripts) >= 4, scripts
    for script in scripts:
        first = read(script).split("\n", 1)[0]
        passes("bash" if "bash" in first else "sh", "-n", script)
        assert os.access(script, os.X_OK), f"{script} is not executable"


def test_the_image_builds_on_a_fresh_debian():
    said = os.environ.get("WIREPATCH_IMAGE_SAID")
    if said is None:
        raise OnRequest("ten minutes, root and Debian's archive: set WIREPATCH_IMAGE=1")
    assert said == "", said


def prepare(names):
    """Inside the namespaces there is no network: the image is made before, and its test tells how
    that went."""
    if os.environ.get("WIREPATCH_IMAGE") == "1" and "test_the_image_builds_on_a_fresh_debian" in names:
        done = subprocess.run([os.path.join(DEPLOY, "check-image.sh")], capture_output=True, text=True)
        os.environ["WIREPATCH_IMAGE_SAID"] = "" if done.returncode == 0 else done.stdout[-4000:] + done.stderr[-4000:]
