"""A disk whose power can be cut: an ext4 of its own behind a loop device; what its backing file
holds at the cut is what survives. Needs root and loop devices."""

import os
import shutil
import subprocess
import tempfile

import pytest


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


class Disk:
    """A small ext4 that commits only when it is told to."""

    def __init__(self, directory):
        self.image = os.path.join(directory, "disk")
        self.mounted = None

    def make(self):
        with open(self.image, "wb") as file:
            file.truncate(16 << 20)
        run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", self.image)
        run("tune2fs", "-j", "-J", "size=4", self.image)

    def become(self, other):
        """A copy of that image, in a file of its own: while anything on the machine still has the
        old loop device open, mounting the old file would take that device again, with what it
        remembers of the file's former octets."""
        copy = self.image + ".copy"
        shutil.copyfile(other, copy)
        os.rename(copy, self.image)

    def mount(self, point):
        run("mount", "-o", "loop,commit=300", self.image, point)
        self.mounted = point

    def unmount(self):
        if self.mounted:
            run("umount", self.mounted)
            self.mounted = None

    def cut(self):
        """What is in the backing file right now survives, whatever the mounted one does next."""
        survivor = self.image + ".cut"
        shutil.copyfile(self.image, survivor)
        self.unmount()
        os.rename(survivor, self.image)


class Steps:
    """The names of the storage steps of one run. How many there are depends on what happens to
    share a transaction or a flush, and so on how busy the machine is; which ones there are does
    not."""

    def __init__(self, directory):
        self.log = os.path.join(directory, "steps")

    def environment(self):
        """For the next run, which begins anew."""
        if os.path.exists(self.log):
            os.remove(self.log)
        return {"POSTRIDER_STEP_LOG": self.log}

    def names(self):
        with open(self.log) as file:
            return {line.split()[1] for line in file}


def make_place():
    """A directory with a disk and an empty copy of it. Backing files in memory, so that a flush of
    the loop device costs little."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts loop devices")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is missing; on Debian: apt install e2fsprogs")
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = tempfile.mkdtemp(prefix="postrider-powercut-", dir=parent)
    point = os.path.join(directory, "mnt")
    os.mkdir(point)
    try:
        disk = Disk(directory)
        disk.make()
        disk.mount(point)
        disk.unmount()
    except OSError as error:
        shutil.rmtree(directory)
        pytest.skip(f"no loop device with ext4: {error}")
    shutil.copyfile(disk.image, disk.image + ".empty")
    yield directory
    shutil.rmtree(directory)
