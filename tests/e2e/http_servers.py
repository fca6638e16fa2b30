# SPDX-License-Identifier: MIT
"""The servers of test_http.py, on 127.0.0.1 and ports that the system chooses.

Hostile answers as its paths say, well or badly, in threads of the test's process, and notes what it was
asked. Run as a program, this file is the crowd: it answers no request before COUNT of them are there.

usage: http_servers.py COUNT
"""
import asyncio
import gzip
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import zlib


class Request:
    """What came in. `closed` is set when the other side has gone, for those that wait for that."""

    def __init__(self, connection):
        self.connection, self.closed = connection, threading.Event()
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            part = connection.recv(65536)
            if not part:
                raise ConnectionError("no request")
            self.head += part
        self.head, self.body = self.head.split(b"\r\n\r\n", 1)
        lines = self.head.decode("latin-1").split("\r\n")
        self.method, self.target = lines[0].split(" ")[:2]
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        while len(self.body) < int(self.headers.get("content-length", "0")):
            self.body += connection.recv(65536)
        url = urllib.parse.urlsplit(self.target)
        self.path, self.query = url.path, urllib.parse.parse_qs(url.query)

    def send(self, data):
        self.connection.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self, status=200, body="", **headers):
        body = body.encode() if isinstance(body, str) else body
        headers = {"Content-Length": len(body), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.send(f"HTTP/1.1 {status} Said\r\n{lines}Connection: close\r\n\r\n".encode() + body)

    def wait_for_close(self, seconds=30):
        """Until the other side has gone."""
        self.connection.settimeout(seconds)
        try:
            while self.connection.recv(65536):
                pass
        except OSError:
            return
        self.closed.set()

    def for_ever(self, data, pause=0.0):
        """Sends it until the other side has gone; a broken connection ends it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self.send(data)
            time.sleep(pause)


def h_echo(r):
    r.answer(body=json.dumps({"method": r.method, "target": r.target, "headers": r.headers,
                              "body": r.body.decode("utf-8", "replace")}), Content_Type="application/json")


def h_status(r):
    headers = {"Retry_After": r.query["after"][0]} if "after" in r.query else {}
    r.answer(int(r.query["code"][0]), r.query.get("body", [""])[0], **headers)


def h_head(r):
    r.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n")


def h_twice(r):
    r.send("HTTP/1.1 103 Early\r\nX-Early: yes\r\n\r\n"
           "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Two: a\r\nSet-Cookie: a=1, b\r\nx-two: b\r\nSET-COOKIE: c=2\r\n"
           "Connection: close\r\n\r\n")


def h_redirect(r):
    r.answer(int(r.query.get("code", ["302"])[0]), "elsewhere", Location=r.query["to"][0])


def h_loop(r):
    r.answer(302, Location="/loop")


def h_text(r):
    r.answer(body=b"caf\xe9 \x00 \xf0\x9f\x98\x80", Content_Type="text/plain; charset=latin-1")


def h_json(r):
    r.answer(body=r.query["body"][0], Content_Type="application/problem+json; charset=utf-8")


def h_stall(r):
    r.wait_for_close()


def h_stall_body(r):
    r.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
    r.wait_for_close()


def h_drip(r):
    r.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    r.for_ever("x", 0.05)


def h_short(r):
    r.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n0123456789")


def h_long(r):
    r.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0123456789")


def h_endless(r):
    r.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    r.for_ever(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def h_endless_head(r):
    r.send("HTTP/1.1 200 OK\r\n")
    r.for_ever("X-More: " + "y" * 100 + "\r\n")


def h_endless_line(r):
    r.send("HTTP/1.1 200 OK\r\nX-Long: ")
    r.for_ever("y" * 10000)


def h_endless_early(r):
    r.for_ever("HTTP/1.1 100 Continue\r\n\r\n")


def h_endless_trailer(r):
    r.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    r.for_ever("X-More: " + "y" * 100 + "\r\n")


def h_bad_chunk(r):
    r.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsurely\r\nx\r\n")


def h_bomb(r):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(256)) + packer.flush()
    r.answer(body=body, Content_Encoding="gzip")


def h_gzip(r):
    r.answer(body=gzip.compress(b"small"), Content_Encoding="gzip")


def h_bad_gzip(r):
    r.answer(body=b"this is no gzip", Content_Encoding="gzip")


def h_nothing(r):
    pass


def h_garbage(r):
    r.send("\x00\x01 what?\r\n\r\n")


def h_big(r):
    r.answer(body="x" * int(r.query["bytes"][0]))


class Hostile:
    """`url` to ask; `requests` it got, in order."""

    def __init__(self, cert=None):
        self.requests, self.failures = [], 0
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if cert else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            request = Request(connection)
            self.requests.append(request)
            if request.path == "/flaky":  # bad once, then good
                request.answer(200 if sum(r.path == "/flaky" for r in self.requests) > 1 else 503)
            else:
                globals()["h_" + request.path[1:].replace("-", "_")](request)
        except OSError:
            pass  # the other side is gone
        finally:
            connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Crowd:
    """Answers once `count` requests are open at the same time; later ones at once."""

    def __init__(self, count):
        self.count, self.waiting, self.full = count, 0, asyncio.Event()

    async def serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        self.waiting += 1
        if self.waiting == self.count:
            self.full.set()
        await self.full.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def run(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=16384)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(Crowd(int(sys.argv[1])).run())
