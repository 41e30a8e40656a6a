"""The HTTP server of a launcher. It is aiohttp's, which the extra ``serve`` brings."""
