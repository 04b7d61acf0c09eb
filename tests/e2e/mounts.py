"""Tests that mount file systems: in a mount namespace of their own, so that these are nobody else's and end with
it. That takes root; without it the tests are skipped and say so."""

import ctypes
import os
import subprocess

import fleet

CLONE_NEWNS = 0x20000  # linux/sched.h
MS_REC, MS_PRIVATE = 0x4000, 0x40000  # linux/mount.h


def leave_shared_mounts():
    """Why there is no mount namespace for this process, or nothing."""
    if os.geteuid() != 0:
        return "mounting needs root"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return "there is no mount namespace to be had: " + os.strerror(ctypes.get_errno())
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return "mounts can't be made private: " + os.strerror(ctypes.get_errno())
    return ""


def mount_points():
    """Of this namespace; a bind mount does not show in what stat(2) says."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
        return {line.split(" ")[4] for line in mountinfo}


class WithMounts(fleet.EndToEnd):
    @classmethod
    def why_not(cls):
        return leave_shared_mounts()

    def mount(self, folder, *words):
        """`mount WORDS FOLDER`, until the test ends."""
        done = subprocess.run(["mount", *words, folder], capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"{folder} can't be mounted: " + done.stderr.decode().strip())
        self.addCleanup(self.unmount, folder)
        return folder

    def mount_tmpfs(self, folder):
        return self.mount(folder, "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs")

    @staticmethod
    def unmount(folder):
        """Also while somebody is in there; nothing when it is no mount."""
        if folder in mount_points():
            subprocess.run(["umount", "-l", folder], check=True)
