"""The fastest possible policy server in Python: uvloop, and DUNNO for each empty line.

python bench/bare_responder.py PORT
"""

import asyncio
import sys
from typing import cast

import uvloop

_DUNNO = b"action=DUNNO\n\n"
_END = b"\n\n"


class _Responder(asyncio.Protocol):
    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if whole := data.count(_END):
            self._transport.write(_DUNNO * whole)
        self._rest = data[data.rfind(_END) + len(_END) :] if whole else data


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Responder, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
