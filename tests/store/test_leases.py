"""Two sessions never train one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agnews_cli.errors import RunBusy
from agnews_cli.store.run import leases

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def rewrite(folder: Path, token: int, **facts: object) -> None:
    path = folder / "leases" / f"{token:06d}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_the_second_session_is_refused_until_the_first_lets_go(tmp_path):
    first = leases.claim(tmp_path, NOW)
    with pytest.raises(RunBusy, match=f"process {os.getpid()} of this machine"):
        leases.claim(tmp_path, NOW + timedelta(hours=3))  # alive, however long it is silent
    first.release(NOW)
    second = leases.claim(tmp_path, NOW)
    assert (first.token, second.token) == (1, 2)
    assert not second.note


def test_a_session_whose_process_was_killed_is_taken_over_at_once(tmp_path):
    code = (
        "import os, sys, pathlib, datetime\nfrom agnews_cli.store.run import leases\n"
        "leases.claim(pathlib.Path(sys.argv[1]), datetime.datetime.now(datetime.UTC))\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert leases.newest_token(tmp_path) == 1
    lease = leases.claim(tmp_path, datetime.now(UTC))
    assert lease.token == 2
    assert "its process is gone" in lease.note


def test_another_machine_is_waited_for_because_unknown_is_not_dead(tmp_path):
    leases.claim(tmp_path, NOW)
    rewrite(tmp_path, 1, host="elsewhere")
    soon = NOW + timedelta(seconds=leases.STALE_S - 1)
    with pytest.raises(RunBusy, match="elsewhere") as busy:
        leases.claim(tmp_path, soon)
    assert busy.value.advice.endswith(f"agnews resume {tmp_path} --takeover")
    with pytest.raises(RunBusy):  # a clock that runs behind is no sign of death
        leases.claim(tmp_path, NOW - timedelta(days=2))
    assert "asked to" in leases.claim(tmp_path, soon, takeover=True).note
    rewrite(tmp_path, 2, host="elsewhere")
    late = leases.claim(tmp_path, soon + timedelta(seconds=leases.STALE_S + 1))
    assert (late.token, "long silent" in late.note) == (3, True)


def test_a_torn_lease_does_not_lock_the_run_for_ever(tmp_path):
    leases.claim(tmp_path, NOW)
    (tmp_path / "leases" / "000001.json").write_text('{"wri')
    assert leases.claim(tmp_path, NOW).token == 2


def test_of_many_that_claim_at_once_one_wins(tmp_path):
    won, lost, barrier = [], [], threading.Barrier(8)

    def claim() -> None:
        barrier.wait()
        try:
            won.append(leases.claim(tmp_path, NOW).token)
        except RunBusy:
            lost.append(1)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [1]
    assert len(lost) == 7


def test_an_owner_that_was_killed_and_not_yet_reaped_is_dead(tmp_path):
    code = (
        "import sys, time; from datetime import UTC, datetime; from pathlib import Path\n"
        "from agnews_cli.store.run import leases\n"
        "leases.claim(Path(sys.argv[1]), datetime.now(UTC)); print('held', flush=True)\n"
        "time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    assert leases.is_held(tmp_path, datetime.now(UTC))
    owner.kill()
    os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
    assert not leases.is_held(tmp_path, datetime.now(UTC))
    owner.wait()


CLAIM = (
    "import sys, time; from datetime import UTC, datetime; from pathlib import Path\n"
    "from agnews_cli.store.run import leases\n"
    "leases.claim(Path(sys.argv[1]), datetime.now(UTC)); print('held', flush=True)\n"
    "time.sleep(60)"
)
IN_A_CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--")


def test_a_container_of_the_same_name_is_waited_for_and_not_taken_for_dead(tmp_path):
    """Its process numbers are others; the boot id and the host's name are ours."""
    if subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no PID namespace can be made here")
    owner = subprocess.Popen(
        [*IN_A_CONTAINER, sys.executable, "-c", CLAIM, str(tmp_path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    try:
        now = datetime.now(UTC)
        assert leases.is_held(tmp_path, now)
        with pytest.raises(RunBusy, match="another container, or start, of "):
            leases.claim(tmp_path, now)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert leases.is_held(tmp_path, now)  # nobody here can know that it ended
    late = now + timedelta(seconds=leases.STALE_S + 1)
    assert "long silent" in leases.claim(tmp_path, late).note


@pytest.mark.parametrize("elsewhere", [{"namespace": "pid:[7]"}, {"born": "another-boot 12345"}])
def test_a_process_number_of_another_place_says_nothing(tmp_path, elsewhere):
    leases.claim(tmp_path, NOW)
    rewrite(tmp_path, 1, pid=2**22 + 1, **elsewhere)  # higher than any that Linux gives
    soon = NOW + timedelta(seconds=leases.STALE_S - 1)
    assert leases.is_held(tmp_path, soon)
    with pytest.raises(RunBusy, match="another container, or start, of "):
        leases.claim(tmp_path, soon)
    assert leases.claim(tmp_path, soon + timedelta(seconds=2)).token == 2


def test_a_lease_of_before_namespaces_were_noted_is_read(tmp_path):
    leases.claim(tmp_path, NOW)
    path = tmp_path / "leases" / "000001.json"
    facts = json.loads(path.read_text())
    assert facts.pop("namespace") is not None
    path.write_text(json.dumps(facts))
    if leases.pid_namespace():
        pytest.skip("what was not noted was the namespace that a machine begins with")
    with pytest.raises(RunBusy, match=f"process {os.getpid()} of this machine"):
        leases.claim(tmp_path, NOW)
    rewrite(tmp_path, 1, pid=2**22 + 1)
    assert leases.claim(tmp_path, NOW).token == 2
