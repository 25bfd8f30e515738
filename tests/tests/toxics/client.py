"""Drives a server of links with PyPI's toxiproxy-python, unchanged."""
import sys

try:
    from toxiproxy import Toxiproxy
    from toxiproxy.api import APIConsumer
    from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
except ImportError:
    sys.exit(77)

api, upstream = sys.argv[1:]
APIConsumer.host, port = api.rsplit(":", 1)
APIConsumer.port = int(port)
server = Toxiproxy()
assert server.running()
assert b"2.12.0" in server.version()
proxy = server.create(upstream=upstream, name="a")
assert proxy.enabled is True
try:
    server.create(upstream=upstream, name="a")
    raise AssertionError("made twice")
except ProxyExists:
    pass
proxy.add_toxic(name="slow", type="latency", attributes={"latency": 100, "jitter": 10})
toxic = proxy.get_toxic("slow")
assert (toxic.type, toxic.stream, toxic.toxicity) == ("latency", "downstream", 1)
assert toxic.attributes["latency"] == 100
proxy.add_toxic(type="bandwidth", stream="upstream", toxicity=0.5, attributes={"rate": 1})
assert sorted(proxy.toxics()) == ["bandwidth_upstream", "slow"]
for bad in ({"type": "fever"}, {"type": "latency", "stream": "sideways"}):
    try:
        proxy.add_toxic(**bad)
        raise AssertionError(bad)
    except InvalidToxic:
        pass
proxy.destroy_toxic("slow")
assert proxy.get_toxic("slow") is None
with proxy.down():
    assert server.get_proxy("a").enabled is False
assert server.get_proxy("a").enabled is True
assert server.reset()
assert proxy.toxics() == {}
server.populate([{"name": "b", "listen": "127.0.0.1:0", "upstream": upstream}])
assert sorted(server.proxies()) == ["a", "b"]
server.destroy_all()
assert server.proxies() == {}
try:
    proxy.destroy()
    raise AssertionError("destroyed twice")
except NotFound:
    pass
print("done")
