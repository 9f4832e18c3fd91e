"""Every figure of docs/benchmarks.md: runs the benchmarks one after the other and writes the page.

    make bench                                    needs an hour on two idle cores
    python benchmarks/bench.py --only serving embed

Seeds a store of its own where EXPRESSION_STUDIO_STORE is not set. Rows of earlier runs on the same
machine are kept in the folder --kept, so that a benchmark can be repeated alone.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import machine
import rows

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "benchmarks.md"
NOTES = PROJECT / "benchmarks" / "notes.md"
"""What the tables don't say: why targets were missed, and what isn't measured here."""
PICTURE = PROJECT / "docs" / "growth.png"
BENCHMARKS: dict[str, tuple[str, list[str]]] = {
    "serving": ("Versions beside a plain session of ONNX Runtime", []),
    "networks": ("Networks beside the fastest we know", []),
    "page": ("The page and the terminal", []),
    "embed": ("Many photos", []),
    "training_step": ("Training", []),
    "memory": ("Memory", []),
    "growth": ("Growth", ["--picture", str(PICTURE)]),
}
"""Scripts of this folder, each with its title on the page, and its further arguments."""
HEAD = """# Benchmarks

Made by `make bench`. Times differ from run to run and from machine to machine: each is measured
beside something else in the same run, and the ratio is what counts.

{machine}
"""
AFTER = """
![Seconds by size, both axes logarithmic](growth.png)
"""


def main(only: list[str], kept: Path, page: Path) -> None:
    """Run the benchmarks and write the page."""
    kept.mkdir(parents=True, exist_ok=True)
    if "EXPRESSION_STUDIO_STORE" not in os.environ:
        os.environ["EXPRESSION_STUDIO_STORE"] = str(kept / "store")
    subprocess.run([sys.executable, PROJECT / "app.py", "seed"], check=True)
    described = machine.describe()
    for name in only or BENCHMARKS:
        print(f"== {name}", flush=True)
        script, extra = PROJECT / "benchmarks" / f"{name}.py", BENCHMARKS[name][1]
        file = kept / f"{name}.json"
        subprocess.run([sys.executable, script, "--json", file, *extra], check=True, cwd=PROJECT)
    page.write_text(_page(described, kept), encoding="utf-8")
    print(f"Wrote {page}.")


def _page(described: str, kept: Path) -> str:
    parts = [HEAD.format(machine=described)]
    for name, (title, _) in BENCHMARKS.items():
        file = kept / f"{name}.json"
        if file.exists():
            command = f"`python benchmarks/{name}.py`"
            parts.append(f"## {title}\n\n{command}\n\n{rows.table(rows.read(file))}\n")
    return "\n".join(parts) + AFTER + "\n" + NOTES.read_text(encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=[], choices=list(BENCHMARKS))
    parser.add_argument("--kept", type=Path, default=PROJECT / "data" / "bench")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the page")
    given = parser.parse_args()
    main(given.only, given.kept, given.page)
