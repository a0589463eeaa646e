"""A management API, as a script sees it: one request at a time, JSON in and out."""

import base64
import http.client
import json
import urllib.parse


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Api:
    def __init__(self, address, user="guest", password="guest"):
        self.address = address
        self.user = user
        self.password = password

    def request(self, method, path, body=None, headers=None):
        """`path` is below /api/ and as it is to be sent; a body that is not bytes is sent as JSON."""
        said = dict(headers or {})
        if self.user is not None:
            pair = f"{self.user}:{self.password}".encode()
            said.setdefault("Authorization", "Basic " + base64.b64encode(pair).decode())
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            said.setdefault("Content-Type", "application/json")
        link = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            link.request(method, "/api/" + path, body=body, headers=said)
            r = link.getresponse()
            return Answer(r.status, dict(r.getheaders()), r.read())
        finally:
            link.close()

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.request("GET", path)

    def put(self, path, body=None):
        return self.request("PUT", path, {} if body is None else body)

    def post(self, path, body=None):
        return self.request("POST", path, {} if body is None else body)

    def delete(self, path, headers=None):
        return self.request("DELETE", path, headers=headers)
