"""Why there is no sandbox here, and what helps."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from graders_engine.sandbox.base import SandboxUnavailable
from graders_engine.sandbox.inside import landlock
from graders_engine.sandbox.inside.plan import LANDLOCK, NAMESPACES

#: setting -> (the value that forbids, what helps)
_SWITCHES = {
    "kernel/unprivileged_userns_clone": ("0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`",
    ),
    "user/max_user_namespaces": ("0", "sysctl -w user.max_user_namespaces=10000"),
}


def advice(tier: str) -> str:
    """What to do so that a tier becomes available here."""
    if sys.platform != "linux":
        return "use a Linux container, or WSL 2 on Windows; macOS and Windows have no such walls"
    if tier == LANDLOCK:
        if landlock.version():
            return "Landlock is there; see the reason"
        return "needs Linux 5.13 or newer with Landlock switched on (lsm=landlock,... at boot)"
    for name, (forbids, remedy) in _SWITCHES.items():
        try:
            value = Path("/proc/sys", name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == forbids:
            return f"{name.replace('/', '.')} is {value} here: {remedy}"
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return "this is a container: start it with a seccomp profile that allows unshare and mount"
    return "needs Linux 5.12 or newer and permission to make user namespaces"


def unavailable(reasons: dict[str, str]) -> SandboxUnavailable:
    """One sentence a tier on why there is no sandbox here, and the way out."""
    if sys.platform != "linux":
        return SandboxUnavailable(f"python graders need Linux: {advice(NAMESPACES)}")
    said = "; ".join(f"{name}: {why} ({advice(name)})" for name, why in reasons.items())
    return SandboxUnavailable(
        f"no sandbox for python graders can be had here. {said}."
        " `--sandbox none` runs them without one: only for sources and model outputs that you trust"
    )
