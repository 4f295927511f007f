"""Several runs at a time, each as soon as what it needs is there."""

import concurrent.futures

from experiments import needed, run_name


def train_all(runs, train, jobs, gpus=1):
    """Train every run, those first in the list first.

    Args:
        runs: A list of runs. One that needs others of them waits for these, and is
            left out if one of them fails.
        train: A function of a run and of the number of a GPU; whether it succeeded.
        jobs: Int. How many trainings at a time.
        gpus: Int. They share these: each new one gets the GPU with the fewest.

    Returns:
        The names of the runs that failed and of those that were left out.
    """
    waiting = {run_name(run): run for run in runs}
    running: dict[concurrent.futures.Future, tuple] = {}
    failed: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while True:
            missing = {*waiting, *failed, *(name for name, _ in running.values())}
            ready = [
                name
                for name, run in waiting.items()
                if missing.isdisjoint(needed(run).values())
            ]
            for name in ready[: jobs - len(running)]:
                busy = [gpu for _, gpu in running.values()]
                gpu = min(range(gpus), key=busy.count)
                running[pool.submit(train, waiting.pop(name), gpu)] = name, gpu
            if not running:
                return failed, list(waiting)
            done, _ = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for job in done:
                name, _ = running.pop(job)
                if not job.result():
                    failed.append(name)
