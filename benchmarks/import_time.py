"""Time of ``import skdrfm`` as a ratio to ``import sklearn``: medians of fresh processes, taken in turn."""

import statistics
import subprocess
import sys
import time

STATEMENTS = {"python": "pass", "skdrfm": "import skdrfm", "sklearn": "import sklearn"}


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main(runs: int = 15) -> None:
    times = {name: [] for name in STATEMENTS}
    for run in range(runs + 1):
        for name, statement in STATEMENTS.items():
            spent = seconds(statement)
            if run:  # the first round fills the file cache
                times[name].append(spent)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:8s} {1000 * median:7.1f} ms (whole process, median of {runs})")
    own = {name: medians[name] - medians["python"] for name in ("skdrfm", "sklearn")}
    print(f"import skdrfm / import sklearn, less the interpreter's start: {own['skdrfm'] / own['sklearn']:.4f}")


if __name__ == "__main__":
    main()
