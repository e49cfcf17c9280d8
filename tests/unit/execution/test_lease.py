"""The lease: one holder at a time, whatever the clocks say, and whatever is late."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipelines.errors import LockHeldError, LockLostError
from pipelines.execution.files import LocalFiles
from pipelines.execution.lease import Lease, RenewedLease
from pipelines.execution.lock import Hold
from pipelines.run_pipeline import main

if TYPE_CHECKING:
    from tests.conftest import Project

FOLDER = "lake/_checkpoints/toy.lease"
SECONDS = 30.0


class Storage:
    """A storage with a clock of its own, which tells whole seconds; it may be slow, or down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.texts: dict[str, tuple[str, float]] = {}
        self.slow_seconds, self.is_down = 0.0, False
        self.error: type[Exception] = OSError
        self.on_put: Callable[[str], None] = lambda path: None
        self.is_atomic = True

    def read(self, path: str) -> str | None:
        self._look()
        return self.texts.get(path, (None, 0))[0]

    def create(self, path: str, text: str) -> bool:
        self._look()
        if path in self.texts and self.is_atomic:
            return False
        self.texts[path] = text, float(int(self.now))
        return True

    def put(self, path: str, text: str) -> None:
        self._look()
        if not path.rpartition("/")[2].startswith("probe"):
            self.now += self.slow_seconds
            self.on_put(path)
        self.texts[path] = text, float(int(self.now))

    def remove(self, path: str) -> None:
        self._look()
        self.texts.pop(path, None)

    def names(self, folder: str) -> list[str]:
        self._look()
        return [path.rpartition("/")[2] for path in self.texts if path.startswith(f"{folder}/")]

    def modified_seconds(self, path: str) -> float | None:
        self._look()
        return self.texts[path][1] if path in self.texts else None

    def _look(self) -> None:
        if self.is_down:
            raise self.error("the storage does not answer")


def lease(storage: Storage, name: str, clock_is_off: float = 0.0) -> Lease:
    """A holder whose clock is so far off."""
    return Lease(
        storage,
        FOLDER,
        {"run_id": name},
        seconds=SECONDS,
        clock=lambda: storage.now + clock_is_off,
    )


def taken(storage: Storage, name: str = "first", clock_is_off: float = 0.0) -> Lease:
    made = lease(storage, name, clock_is_off)
    made.take()
    return made


def test_a_second_one_is_refused_and_told_who_holds_it_and_for_how_long_at_most() -> None:
    storage = Storage()
    first = taken(storage)
    storage.now += 10
    with pytest.raises(LockHeldError) as raised:
        lease(storage, "second", clock_is_off=1e6).take()
    assert raised.value.message == "another run of this pipeline is at work: run_id first"
    assert raised.value.hint.endswith("if it is dead, its lease ends in 22 s")
    first.refuse_if_lost()


def test_one_that_is_not_renewed_is_taken_over_and_its_holder_is_told() -> None:
    storage = Storage()
    first = taken(storage)
    storage.now += SECONDS + 2
    second = taken(storage, "second", clock_is_off=-1e6)
    second.refuse_if_lost()
    for ask in (first.refuse_if_lost, first.renew):
        with pytest.raises(LockLostError, match="could not be renewed for 30 s"):
            ask()
    first.release()
    second.refuse_if_lost()


def test_one_that_is_renewed_is_kept() -> None:
    storage = Storage()
    first = taken(storage)
    for _ in range(9):
        storage.now += SECONDS / 2
        first.renew()
        with pytest.raises(LockHeldError):
            lease(storage, "second").take()
    first.refuse_if_lost()


def test_one_that_is_given_back_is_free_at_once() -> None:
    storage = Storage()
    first = taken(storage)
    first.release()
    taken(storage, "second").refuse_if_lost()
    with pytest.raises(LockLostError):
        first.refuse_if_lost()
    assert [one for one in storage.texts if one.endswith(".json")] == [f"{FOLDER}/000002.json"]


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_while_the_storage_is_down_it_holds_until_its_time_is_up(error: type[Exception]) -> None:
    storage = Storage()
    storage.error = error
    first = taken(storage)
    storage.is_down = True
    storage.now += SECONDS - 1
    with pytest.raises(error, match="does not answer"):
        first.renew()
    first.refuse_if_lost()
    storage.now += 1
    with pytest.raises(LockLostError):
        first.refuse_if_lost()


def test_a_renewal_counts_from_when_it_was_begun() -> None:
    storage = Storage()
    first = taken(storage)
    storage.slow_seconds = 20
    first.renew()
    storage.is_down = True
    storage.now += SECONDS - 20.5
    first.refuse_if_lost()
    storage.now += 0.5
    with pytest.raises(LockLostError):
        first.refuse_if_lost()


def test_a_renewal_that_comes_late_does_not_bring_back_what_another_has_taken() -> None:
    storage = Storage()
    first, second = taken(storage), lease(storage, "second")
    storage.now += SECONDS - 1
    storage.slow_seconds = 4
    storage.on_put = lambda path: None if path.endswith("2.json") else second.take()
    with pytest.raises(LockLostError, match="another one has taken it: run_id second"):
        first.renew()
    second.refuse_if_lost()


def test_a_renewal_while_another_one_takes_it_over_makes_that_one_give_way() -> None:
    storage = Storage()
    first, second, create = taken(storage), lease(storage, "second"), storage.create
    storage.now += SECONDS + 2

    def late(path: str, text: str) -> bool:
        made = create(path, text)
        old = json.loads(storage.texts[f"{FOLDER}/000001.json"][0])
        storage.put(f"{FOLDER}/000001.json", json.dumps({**old, "renewals": 1}))
        return made

    storage.create = late  # type: ignore[method-assign]
    with pytest.raises(LockHeldError, match="run_id first"):
        second.take()
    with pytest.raises(LockLostError):
        second.refuse_if_lost()
    assert first.why_lost


def test_where_creating_is_not_atomic_only_the_last_of_two_goes_on_to_commit() -> None:
    storage = Storage()
    storage.is_atomic = False
    first, second = taken(storage), lease(storage, "second")
    names = storage.names
    storage.names = lambda folder: []  # type: ignore[method-assign]
    with suppress(LockHeldError):
        second.take()  # it has looked before the first one's file was there
    storage.names = names  # type: ignore[method-assign]
    with pytest.raises(LockLostError, match="run_id second"):
        first.refuse_if_lost()


def test_who_asks_while_it_is_renewed_does_not_take_a_half_written_file_for_a_lost_lease() -> None:
    storage = Storage()
    first = taken(storage)
    path, put, asked = f"{FOLDER}/000001.json", storage.put, list[BaseException | None]()

    def ask() -> None:
        try:
            first.refuse_if_lost()
            asked.append(None)
        except LockLostError as error:
            asked.append(error)

    def emptied_first(name: str, text: str) -> None:
        if name == path:
            storage.texts[path] = "", storage.now
            thread.start()
            thread.join(timeout=0.2)
        put(name, text)

    thread = threading.Thread(target=ask)
    storage.put = emptied_first  # type: ignore[method-assign]
    first.renew()
    thread.join()
    assert asked == [None]


def test_where_the_storage_refuses_it_is_said_what_cannot_be_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = Lease(LocalFiles(), str(tmp_path / "file/l"), {}, seconds=60)
    with pytest.raises(LockLostError, match="the run lock cannot be taken"), RenewedLease(made):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 1}'])
def test_a_file_that_cannot_be_read_counts_until_its_time_is_up(text: str) -> None:
    storage = Storage()
    storage.put(f"{FOLDER}/000003.json", text)
    with pytest.raises(LockHeldError, match="unknown"):
        taken(storage)
    storage.now += SECONDS + 2
    taken(storage).refuse_if_lost()


class TwoHolders(RuleBasedStateMachine):
    """Two machines with clocks that are off, a slow storage: never do both go on to commit."""

    def __init__(self) -> None:
        super().__init__()
        self.storage = Storage()
        self.off = (0.0, 1e5)
        self.held: dict[int, Lease] = {}
        self.cut_off: set[int] = set()

    @rule(who=st.integers(0, 1))
    def cut_off_or_join(self, who: int) -> None:
        """A holder that the storage does not answer has only its clock to go by."""
        self.cut_off ^= {who}

    @rule(who=st.integers(0, 1))
    def take(self, who: int) -> None:
        if who in self.cut_off:
            return
        if who not in self.held or self.held[who].why_lost:
            made = lease(self.storage, str(who), self.off[who])
            with suppress(LockHeldError):
                made.take()
                self.held[who] = made

    @rule(who=st.integers(0, 1), slow=st.sampled_from([0.0, 1.0, 20.0, 35.0]))
    def renew(self, who: int, slow: float) -> None:
        self.storage.slow_seconds = slow
        with suppress(LockLostError):
            if who in self.held and who not in self.cut_off:
                self.held[who].renew()
        self.storage.slow_seconds = 0.0

    @rule(who=st.integers(0, 1), other=st.integers(0, 40))
    def renew_while_the_other_one_takes_it(self, who: int, other: int) -> None:
        def meanwhile(_path: str) -> None:
            self.storage.on_put = lambda path: None
            self.storage.now += other
            self.take(1 - who)

        self.storage.on_put = meanwhile
        self.renew(who, 0.0)
        self.storage.on_put = lambda path: None

    @rule(who=st.integers(0, 1))
    def release(self, who: int) -> None:
        if who in self.held and who not in self.cut_off:
            self.held.pop(who).release()

    @rule(seconds=st.sampled_from([0.3, 9.0, 15.0, 29.0, 31.0, 33.0]))
    def wait(self, seconds: float) -> None:
        self.storage.now += seconds

    @invariant()
    def at_most_one_goes_on_to_commit(self) -> None:
        going = []
        for who, one in self.held.items():
            self.storage.is_down = who in self.cut_off
            with suppress(LockLostError):
                one.refuse_if_lost()
                going.append(who)
        self.storage.is_down = False
        assert len(going) <= 1


TestTwoHolders = TwoHolders.TestCase
TestTwoHolders.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_on_local_files_the_thread_renews_it_and_it_is_given_back(tmp_path: Path) -> None:
    files, renewed = LocalFiles(), threading.Event()

    class Told(LocalFiles):
        def put(self, path: str, text: str) -> None:
            super().put(path, text)
            if '"renewals": 2' in text:
                renewed.set()

    def made(storage: LocalFiles, name: str) -> Lease:
        return Lease(storage, str(tmp_path / "l"), {"run_id": name}, seconds=60)

    with RenewedLease(made(Told(), "first"), every_seconds=0.01) as first:
        assert renewed.wait(30)
        first.refuse_if_lost()
        with pytest.raises(LockHeldError, match="run_id first"), RenewedLease(made(files, "b")):
            pass
    with RenewedLease(made(files, "third")):
        pass
    assert files.names(str(tmp_path / "l")) == ["000002.json"]


def test_a_hold_takes_its_lease_once_and_gives_it_back_with_the_stack() -> None:
    storage, made = Storage(), list[Lease]()

    def make(files: Any) -> Lease:
        made.append(lease(files, "first"))
        return made[-1]

    hold = Hold(make)
    with ExitStack() as stack:
        hold.refuse_if_lost()
        assert hold.is_open
        hold.take(storage, stack)
        hold.take(storage, stack)
        assert (len(made), hold.is_open, hold.why_lost) == (1, False, "")
        storage.now += SECONDS
        assert hold.why_lost == "it could not be renewed for 30 s"
    assert Hold().why_lost == ""


def test_a_run_on_a_network_file_system_is_refused_at_once_while_another_machine_has_the_lease(
    project: Callable[..., Project], capsys: pytest.CaptureFixture[str]
) -> None:
    made = project("- {name: a, script: a.py, when: false, destination: {path: lake/a}}")
    made.write("a.py", "def ingest(spark, context):\n    return None\n")
    made.write(
        "pipelines/pipelines_config.yaml",
        """
        default_environment: test
        environments:
          test: {base_path: lake, metadata: {enabled: false}, lock: {lease_seconds: 60}}
        """,
    )
    there = Lease(LocalFiles(), str(made.root / FOLDER), {"host": "node7"}, seconds=60)
    there.take()
    words = ["run", "--project-dir", str(made.root)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr().err
    assert (ended.value.code, "at work: host node7" in told) == (4, True)
    assert not (made.root / "lake/_checkpoints/toy/.lock").exists()
    there.release()
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
