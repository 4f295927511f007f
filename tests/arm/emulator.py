"""Python and LiteRT for aarch64, run by qemu-user on x86-64 Linux.

Everything is unpacked into a folder of its own, about 110 MB of downloads; the system
stays as it is. Debian's packages come from the mirror that apt is set up with, wheels
from where pip gets them.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".arm"
REQUIREMENTS = ROOT / "examples" / "raspberry_pi" / "requirements.txt"
# A Raspberry Pi 4's.
CPU = "cortex-a72"
# The Python of Raspberry Pi OS 12. The emulator is a newer one: that of Debian 12
# crashes in LiteRT.
PYTHON, PYTHON_SUITE = "python3.11", "bookworm"
EMULATOR, EMULATOR_SUITE = "qemu-aarch64", "trixie"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux2014_aarch64",
)


class Unavailable(Exception):
    """This machine cannot have the emulator; says why."""


def prepare():
    """Download and unpack what is not there yet.

    Raises:
        Unavailable: If the machine is another one than x86-64 Linux, or has no apt
            with a Debian mirror that answers.
        subprocess.CalledProcessError: If pip cannot install the requirements.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise Unavailable(
            "needs Linux on x86-64. "
            f"Received: {platform.system()} on {platform.machine()}"
        )
    ready = FOLDER / "ready"
    wanted = REQUIREMENTS.read_text() + Path(__file__).read_text()
    if ready.is_file() and ready.read_text() == wanted:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    _unpack_packages()
    _install_wheels()
    ready.write_text(wanted)


def run(*arguments):
    """Run Python with arguments on the emulated processor; returns its stdout.

    Raises:
        RuntimeError: If it ends with another code than 0.
    """
    done = subprocess.run(
        [
            *(FOLDER / EMULATOR, "-cpu", CPU, "-L", FOLDER / "root"),
            *(FOLDER / f"root/usr/bin/{PYTHON}", *arguments),
        ],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONHOME": str(FOLDER / "root/usr"),
            "PYTHONPATH": str(FOLDER / "site"),
            "PYTHONUTF8": "1",
        },
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"Python for aarch64 ended with code {done.returncode}: "
            + done.stderr[-2000:]
        )
    return done.stdout


def _unpack_packages():
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise Unavailable(f"needs Debian's {program}, which is not here")
    reasons = []
    for mirror in _mirrors():
        try:
            _unpack(mirror, PYTHON_SUITE, "arm64", "root", PYTHON, "libstdc++6")
            _unpack(mirror, EMULATOR_SUITE, "amd64", "host", "qemu-user")
        except subprocess.CalledProcessError as error:
            reasons.append(_first_error(error.output))
        else:
            # Linked statically, and one of forty.
            (FOLDER / "host/usr/bin" / EMULATOR).rename(FOLDER / EMULATOR)
            shutil.rmtree(FOLDER / "host")
            return
    raise Unavailable(
        f"needs an apt source that has Debian's {PYTHON_SUITE} and {EMULATOR_SUITE} "
        f"and answers. Received: {'; '.join(reasons) or 'no apt source'}"
    )


def _first_error(log):
    errors = [line for line in log.splitlines() if line.startswith("E: ")]
    return (errors or log.splitlines() or ["no message"])[0][:150]


def _mirrors():
    """The repositories that apt is set up with."""
    lines = _output("apt-get", "indextargets", "--format", "$(REPO_URI)")
    return list(dict.fromkeys(lines.splitlines()))


def _unpack(mirror, suite, architecture, folder, *packages):
    """Unpack packages, with all that they depend on."""
    state = FOLDER / "apt" / folder
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    signed = f"[signed-by={KEYS}] " if KEYS.exists() else ""
    (state / "sources.list").write_text(f"deb {signed}{mirror} {suite} main\n")
    apt = ["apt-get", "--quiet", *_options(state, architecture)]
    _output(*apt, "update", "--error-on=any")
    _output(
        *(*apt, "install", "--yes", "--no-install-recommends", "--download-only"),
        *packages,
    )
    for package in (state / "cache/archives").glob("*.deb"):
        _output("dpkg", "-x", str(package), str(FOLDER / folder))
    shutil.rmtree(state)


def _options(state, architecture):
    """Apt's options for a state of its own, of a machine with nothing installed."""
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": 1,
        "Acquire::Languages": "none",
    }
    return [
        part for key, value in settings.items() for part in ("-o", f"{key}={value}")
    ]


def _output(*command):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout)
    return done.stdout


def _install_wheels():
    """What a board installs, in the versions that it installs."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
            *("--only-binary", ":all:", "--target", FOLDER / "site"),
            *(
                "--implementation",
                "cp",
                "--python-version",
                PYTHON.removeprefix("python"),
            ),
            *(option for name in PLATFORMS for option in ("--platform", name)),
            *("--constraint", ROOT / "constraints.txt", "--requirement", REQUIREMENTS),
        ],
        check=True,
    )
