"""A real SFTP server on localhost: `-m tests.servers.sftp FOLDER PORT`; any login is good.

Its key lies beside the folder and stays when it is started again; logins that it got, in `.logins`.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import paramiko


class Anyone(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        with Path(f"{Files.root}.logins").open("a") as file:
            file.write(f"{username} {password}\n")
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username):
        return "password,none"


class Handle(paramiko.SFTPHandle):
    def stat(self):
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class Files(paramiko.SFTPServerInterface):
    root = Path()

    def _real(self, path: str) -> Path:
        return self.root / self.canonicalize(path).lstrip("/")

    def _try(self, act):
        try:
            return act()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def list_folder(self, path):
        def act():
            found = []
            for entry in self._real(path).iterdir():
                facts = paramiko.SFTPAttributes.from_stat(entry.lstat())
                facts.filename = entry.name
                found.append(facts)
            return found

        return self._try(act)

    def stat(self, path):
        return self._try(lambda: paramiko.SFTPAttributes.from_stat(self._real(path).stat()))

    lstat = stat

    def open(self, path, flags, attr):
        def act():
            mode = "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb"
            if mode == "r+b" and flags & os.O_CREAT:
                self._real(path).touch()
            file = self._real(path).open(mode)
            handle = Handle(flags)
            handle.readfile = handle.writefile = file
            handle.filename = str(self._real(path))
            return handle

        return self._try(act)

    def remove(self, path):
        return self._try(lambda: (self._real(path).unlink(), paramiko.SFTP_OK)[1])

    def posix_rename(self, old, new):
        return self._try(lambda: (self._real(old).replace(self._real(new)), paramiko.SFTP_OK)[1])

    def rename(self, old, new):
        return self.posix_rename(old, new)

    def mkdir(self, path, attr):
        return self._try(lambda: (self._real(path).mkdir(), paramiko.SFTP_OK)[1])

    def rmdir(self, path):
        return self._try(lambda: (self._real(path).rmdir(), paramiko.SFTP_OK)[1])

    def chattr(self, path, attr):
        return paramiko.SFTP_OK


def main(folder: str, port: str) -> None:
    Files.root = Path(folder)
    key = key_of(Path(folder))
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, key), daemon=True).start()


def key_of(folder: Path) -> paramiko.RSAKey:
    path = Path(f"{folder}.key")
    if not path.exists():
        paramiko.RSAKey.generate(2048).write_private_key_file(str(path))
    return paramiko.RSAKey(filename=str(path))


def serve(connection: socket.socket, key: paramiko.PKey) -> None:
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    try:
        transport.start_server(server=Anyone())
    except (OSError, EOFError, paramiko.SSHException):
        return
    channel = transport.accept(60)
    transport.join()
    if channel is not None:
        channel.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
