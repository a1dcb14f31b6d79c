"""A client of an application in the same process, which keeps cookies as a browser does."""

import asyncio

import httpx


class AsgiClient:
    """Requests to an ASGI application, as from this machine; redirects are not followed."""

    def __init__(self, app, base="http://localhost"):
        self.app, self.base = app, base
        self.cookies = httpx.Cookies()

    def get(self, path, **options):
        return asyncio.run(self._ask("GET", path, options))

    def post(self, path, **options):
        return asyncio.run(self._ask("POST", path, options))

    def ask(self, method, path, **options):
        return asyncio.run(self._ask(method, path, options))

    async def _ask(self, method, path, options):
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(
            transport=transport, base_url=self.base, cookies=self.cookies
        ) as client:
            answer = await client.request(method, path, **options)
            self.cookies = client.cookies
        return answer
