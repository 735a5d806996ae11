"""The pages' ES modules, in a JavaScript runtime outside the browser: tests in `modules/`."""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "modules"
ROOT = Path(__file__).parents[3]
READ = f"{ROOT / 'tests'},{ROOT / 'node/cairn/web/static/js'}"


def test_modules_do_what_their_own_tests_say() -> None:
    deno = Path(sys.executable).parent / "deno"
    command = [str(deno), "test", "--no-remote", f"--allow-read={READ}", str(FOLDER)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None, said
    written = sum(
        file.read_text(encoding="utf-8").count("Deno.test(") for file in FOLDER.glob("*_test.js")
    )
    assert int(passed[1]) == written > 0
