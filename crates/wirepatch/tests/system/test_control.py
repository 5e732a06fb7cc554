"""Reload, the control socket and the metrics of a running box."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request

import test_traffic
from lab import METRICS_PORT, SERVER, Lab, NotHere, free_port, wait_for


def reloads(lab, result):
    return lab.metric("wirepatch_reloads_total", result=result)


def kernel_drops(lab):
    """Frames that the hosts' own interfaces dropped."""
    links = [link for host in ("client", "server")
             for link in json.loads(lab.run(host, ["ip", "-j", "-s", "link"]).stdout)]
    return sum(link["stats64"][way]["dropped"] for link in links for way in ("rx", "tx"))


def test_a_hundred_reloads_under_traffic_lose_nothing():
    with Lab() as lab:
        lab.start_box(lab.config(test_traffic.web(lab)))
        size = 400_000_000
        overflowed = kernel_drops(lab)
        download = lab.start("client", ["curl", "-sS", "-m", "600", "-H", test_traffic.TRACE, "--limit-rate", "30M",
                                        "-o", lab.path("down.bin"), f"http://{SERVER}/bytes/{size}"], log="curl.log")
        ping = lab.start("client", ["ping", "-i", "0.02", "-c", "400", SERVER], log="ping.log")
        for number in range(100):
            lab.write("shorten.yaml", test_traffic.PATCH.replace("to: 8", f"to: {8 + number % 2}")
                      .replace("01234567\\r", f"{'012345678'[:8 + number % 2]}\\r"))
            if number % 2:
                lab.ctl("reload")
            else:
                lab.box.send_signal(signal.SIGHUP)
                wait_for("the reload", lambda: reloads(lab, "success") >= number + 1)
            lab.run("client", ["curl", "-sS", "--fail", "-m", "600", "-H", test_traffic.TRACE, f"http://{SERVER}/r{number}"])
        assert reloads(lab, "success") == 100
        seen = json.loads(lab.run("client", ["curl", "-sS", "-m", "600", f"http://{SERVER}/seen"]).stdout)
        cut = [request[2] for request in seen if request[1].startswith("/r")]
        assert cut == [8 + number % 2 for number in range(100)], cut
        assert ping.wait(600) == 0
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", lab.read("ping.log")).groups())
        # On a busy machine a queue of the kernel overflows now and then: it counts that, or the box
        # does.
        drops = dict(re.findall(r'^wirepatch_drops_total\{cause="(\w+)"\} ([1-9]\d*)', lab.metrics(), re.M))
        assert drops.keys() <= {"tx_queue_full", "nic_missed", "nic_tx_error"}, drops
        overflowed = kernel_drops(lab) - overflowed + sum(map(int, drops.values()))
        assert sent - received <= overflowed, f"{overflowed} lost in queues\n" + lab.read("ping.log")[-300:]
        lab.end(download)
        assert "curl:" not in lab.read("curl.log"), lab.read("curl.log")
        retransmitted = lab.run("client", ["nstat", "-az", "TcpRetransSegs"], check=False).stdout
        print("   ", " ".join(retransmitted.split()[-2:-1]), "segments retransmitted by the client,", overflowed, "lost in queues")


def test_a_bad_set_changes_nothing_and_says_why():
    with Lab() as lab:
        lab.start_box(lab.config(test_traffic.web(lab)))
        lab.write("shorten.yaml", test_traffic.PATCH.replace("http.header", "http.heder"))
        done = lab.ctl("reload", check=False)
        assert done.returncode == 1, done
        said = done.stdout + done.stderr
        assert "shorten.yaml" in said and "http.heder" in said and "http.header" in said, said
        # A patch whose own test cases fail is refused too.
        lab.write("shorten.yaml", test_traffic.PATCH.replace("to: 8", "to: 7"))
        done = lab.ctl("reload", check=False)
        assert done.returncode == 1 and "cut" in done.stdout + done.stderr, done
        assert reloads(lab, "failure") == 2
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", test_traffic.TRACE, f"http://{SERVER}/a"])
        seen = json.loads(lab.run("client", ["curl", "-sS", "-m", "600", f"http://{SERVER}/seen"]).stdout)
        assert seen[0][2] == 8, seen


def test_ctl_shows_and_sets():
    with Lab() as lab:
        lab.start_box(lab.config(test_traffic.web(lab)))
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", test_traffic.TRACE, f"http://{SERVER}/a"])
        status = lab.ctl("status")
        assert {port["name"] for port in status["ports"]} == {"lan", "srv"}, status
        patches = lab.ctl("patches")["patches"]
        assert patches[0]["patch"] == "shorten-trace" and patches[0]["edits"] == 1, patches
        assert sum(worker["flows"] for worker in lab.ctl("flows")["workers"]) >= 1
        lab.ctl("mode", "web", "observe")
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", test_traffic.TRACE, f"http://{SERVER}/b"])
        seen = json.loads(lab.run("client", ["curl", "-sS", "-m", "600", f"http://{SERVER}/seen"]).stdout)
        assert [request[2] for request in seen] == [8, 300], seen


def test_promtool_and_a_real_prometheus():
    for tool in ("promtool", "prometheus"):
        if not shutil.which(tool):
            raise NotHere(f"{tool} (Debian package prometheus)")
    with Lab() as lab:
        lab.start_box(lab.config(test_traffic.web(lab)))
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", test_traffic.TRACE, f"http://{SERVER}/a"])
        text = lab.metrics()
        lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=300)
        assert lint.returncode == 0 and not lint.stderr.strip(), lint.stderr
        port = free_port()
        config = lab.write("prometheus.yml", json.dumps({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "wirepatch", "static_configs": [{"targets": [f"127.0.0.1:{METRICS_PORT}"]}]}]}))
        os.makedirs(lab.path("tsdb"))
        lab.start(None, ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={lab.path('tsdb')}",
                         f"--web.listen-address=127.0.0.1:{port}"], log="prometheus.log")

        def scraped():
            query = f"http://127.0.0.1:{port}/api/v1/query?query=wirepatch_patch_edits_total"
            try:
                with urllib.request.urlopen(query, timeout=20) as answer:
                    return json.load(answer)["data"]["result"]
            except OSError:
                return None

        result = wait_for("a scrape", scraped, step=0.5)
        assert any(sample["metric"]["patch"] == "shorten-trace" and sample["value"][1] == "1" for sample in result), result
