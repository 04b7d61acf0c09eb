"""What an agent looks at: every local file system by default, local mounts below the folders that are named, and
what becomes of models on a file system that goes away."""

import os
import shutil
import tempfile
import unittest

import fleet
import mounts


class Roots(mounts.WithMounts):
    def write_model(self, name, *folders):
        """Whole when the agent sees it: it is looked at again a moment after."""
        path = os.path.join(*folders, name)
        with open(path, "wb") as out:
            out.write(fleet.gguf(name))
        return path

    def wait_for_models(self, served, *paths):
        def stored():
            return {row["path"] for row in served.inventory() if row["digest_state"] == "verified"}
        fleet.wait_for(lambda: stored() == set(paths), "the inventory of " + ", ".join(paths))

    def remove_unless_mounted(self, root):
        """Whatever is still mounted below it is not ours to remove."""
        self.assertFalse({point for point in mounts.mount_points() if (point + "/").startswith(root + "/")})
        shutil.rmtree(root)

    def make_small_system(self):
        """A root folder of its own on the disk, with what the programs need, none of which is to be walked."""
        root = tempfile.mkdtemp(prefix="wm-root-", dir="/tmp")
        self.addCleanup(self.remove_unless_mounted, root)
        os.chmod(root, 0o755)  # the cage runs as nobody
        self.mount(root, "--bind", root)
        for folder in ("dev", "proc", "usr", "models", "usb"):
            os.mkdir(os.path.join(root, folder))
        for folder in (fleet.PROGRAMS, self.folder):
            os.makedirs(root + folder, exist_ok=True)
        for folder in (fleet.PROGRAMS, self.folder, "/dev", "/usr"):
            self.mount(root + folder, "--bind", folder)
        for folder in (fleet.PROGRAMS, "/usr"):
            self.mount(root + folder, "-o", "remount,bind,ro")
        self.mount(os.path.join(root, "proc"), "-t", "proc", "proc")
        for name in ("bin", "lib", "lib64"):
            os.symlink("usr/" + name, os.path.join(root, name))
        return root

    def test_every_local_file_system_is_looked_at_for_as_long_as_it_is_there(self):
        root = self.make_small_system()
        usb = os.path.join(root, "usb")
        self.write_model("on-disk", root, "models")
        self.mount_tmpfs(usb)
        self.write_model("on-stick", usb)
        served = self.make_fleet()
        agent = served.add_agent(None, prefix=["chroot", root],
                                 exclude=["/usr", fleet.PROGRAMS, self.folder])
        self.wait_for_models(served, "/models/on-disk", "/usb/on-stick")
        coverage = self.coverage(agent)
        self.assertRegex(coverage["/:"], r"^partly, excluded \(3 excluded\)")
        self.assertRegex(coverage["/usb:"], "^looked")
        self.assertRegex(coverage["/proc:"], "^could_not, pseudo_file_system")
        self.assertRegex(coverage["/usr:"], "^could_not, excluded")

        self.unmount(usb)
        self.wait_for_models(served, "/models/on-disk")
        fleet.wait_for(lambda: "/usb:" not in self.coverage(agent), "the coverage of what is gone ending")
        self.mount_tmpfs(usb)
        self.write_model("again", usb)
        self.wait_for_models(served, "/models/on-disk", "/usb/again")

    def coverage(self, agent):
        """What `weighmaster status` says of each root."""
        lines = agent.weighmaster("status").stdout.decode().splitlines()
        words = [line.split(maxsplit=2) for line in lines if line.startswith("coverage ")]
        return {root: rest for _, root, rest in words}

    def test_mounts_below_a_named_folder_are_part_of_it(self):
        home = self.make_folder("home")
        alice = self.mount_tmpfs(self.make_folder("home", "alice"))
        plain = self.write_model("plain", home)
        inner = self.write_model("inner", alice)
        served = self.make_fleet()
        served.add_agent([home])
        self.wait_for_models(served, plain, inner)
        self.unmount(alice)
        self.wait_for_models(served, plain)


if __name__ == "__main__":
    unittest.main()
