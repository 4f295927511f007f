"""Several trainings at a time: in order, on all GPUs, none before what it needs."""

import collections
import threading
import time

import pytest


@pytest.fixture
def train_all(paper):
    import pool

    return pool.train_all


def named(*names, **teachers):
    """Runs without a teacher and, by name, with one."""
    teachers = {**dict.fromkeys(names), **teachers}
    return [
        {"experiment": name, "seed": 0, "teacher": teacher}
        for name, teacher in teachers.items()
    ]


class Trainer:
    """Stands in for trainings: notes when each begins and ends, and on which GPU."""

    def __init__(self, failing=()):
        self.failing = failing
        self.events = []
        self.on_gpus = collections.Counter()
        self.most = collections.Counter()
        self.lock = threading.Lock()

    def __call__(self, run, gpu):
        name = run["experiment"]
        with self.lock:
            self.events.append(("begins", name))
            self.on_gpus[gpu] += 1
            self.most[gpu] = max(self.most[gpu], self.on_gpus[gpu])
        time.sleep(0.05)
        with self.lock:
            self.events.append(("ends", name))
            self.on_gpus[gpu] -= 1
        return name not in self.failing


def test_one_after_the_other_in_the_order_of_the_file(train_all):
    trainer = Trainer()
    assert train_all(named("c", "a", "b"), trainer, jobs=1) == ([], [])
    began = [name for what, name in trainer.events if what == "begins"]
    assert began == ["c", "a", "b"]


def test_what_needs_another_run_waits_for_it_and_then_comes_first(train_all):
    trainer = Trainer()
    runs = named(student="teacher", other=None, teacher=None, last=None)
    assert train_all(runs, trainer, jobs=1) == ([], [])
    began = [name for what, name in trainer.events if what == "begins"]
    assert began == ["other", "teacher", "student", "last"]


def test_jobs_spread_over_the_gpus(train_all):
    trainer = Trainer()
    train_all(named(*"abcdefgh"), trainer, jobs=4, gpus=2)
    assert trainer.most == {0: 2, 1: 2}


def test_what_needs_a_failed_run_is_left_out_and_no_other(train_all):
    trainer = Trainer(failing=["bad"])
    runs = named("bad", "good", pupil="bad", pupils="pupil", taught="good")
    failed, left_out = train_all(runs, trainer, jobs=2)
    assert failed == ["bad-seed0"]
    assert left_out == ["pupil-seed0", "pupils-seed0"]
    assert ("ends", "taught") in trainer.events


def test_an_outside_teacher_is_waited_for_by_none(train_all):
    trainer = Trainer()
    assert train_all(named(student="committed"), trainer, jobs=2) == ([], [])
    assert trainer.events
