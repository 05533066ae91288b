import os


def mount(mountpoint):
    print(f"Mounted at {mountpoint}, as asked in process {os.getpid()}")
