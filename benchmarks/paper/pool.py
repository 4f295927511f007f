"""Several runs at a time, each as soon as what it needs is there."""

import concurrent.futures
import queue

from experiments import needed, run_name


def train_all(runs, train, jobs, gpus=1):
    """Train every run, those first in the list first.

    Args:
        runs: A list of runs. One that needs another one of them waits for it, and is
            left out if that fails.
        train: A function of a run and of the number of a GPU; whether it succeeded.
        jobs: Int. How many trainings at a time.
        gpus: Int. They share these: each new one gets the GPU with the fewest.

    Returns:
        The names of the runs that failed and of those that were left out.
    """
    waiting = {run_name(run): run for run in runs}
    running: dict[concurrent.futures.Future, str] = {}
    failed: list[str] = []
    free: queue.PriorityQueue = queue.PriorityQueue()
    for number in range(jobs):
        # By how many trainings the GPU has then, and the GPU.
        free.put(divmod(number, gpus))

    def train_on_a_gpu(run):
        place = free.get()
        try:
            return train(run, place[1])
        finally:
            free.put(place)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while True:
            missing = {*waiting, *running.values(), *failed}
            ready = [n for n, run in waiting.items() if needed(run) not in missing]
            for name in ready[: jobs - len(running)]:
                job = pool.submit(train_on_a_gpu, waiting.pop(name))
                running[job] = name
            if not running:
                return failed, list(waiting)
            done, _ = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for job in done:
                name = running.pop(job)
                if not job.result():
                    failed.append(name)
