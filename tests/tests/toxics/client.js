// Drives a server of links with npm's toxiproxy-node-client, unchanged.
'use strict';
const assert = require('assert');
let client;
try {
  client = require('toxiproxy-node-client');
} catch (error) {
  process.exit(77);
}
const { Toxiproxy, Toxic } = client;
const [api, upstream] = process.argv.slice(2);

(async () => {
  const toxiproxy = new Toxiproxy('http://' + api);
  assert.match(String(await toxiproxy.getVersion()), /2\.12\.0/);
  const proxy = await toxiproxy.createProxy({ name: 'a', listen: '127.0.0.1:0', upstream });
  assert.strictEqual(proxy.isEnabled !== undefined ? proxy.isEnabled : proxy.enabled, true);
  await assert.rejects(toxiproxy.createProxy({ name: 'a', listen: '127.0.0.1:0', upstream }));
  const toxic = new Toxic(proxy, { type: 'latency', attributes: { latency: 100, jitter: 10 } });
  await proxy.addToxic(toxic);
  await proxy.refreshToxics();
  assert.strictEqual(proxy.toxics.length, 1);
  assert.strictEqual(proxy.toxics[0].attributes.latency, 100);
  assert.strictEqual(proxy.toxics[0].stream, 'downstream');
  const added = proxy.toxics[0];
  added.attributes.jitter = 5;
  await added.update();
  await added.refresh();
  assert.strictEqual(added.attributes.jitter, 5);
  await added.remove();
  await assert.rejects(new Toxic(proxy, { type: 'fever', attributes: {} }) && proxy.addToxic(new Toxic(proxy, { type: 'fever', attributes: {} })));
  await proxy.update({ enabled: false, listen: proxy.listen, upstream: proxy.upstream });
  await toxiproxy.reset();
  const all = await toxiproxy.populate([
    { name: 'a', listen: proxy.listen, upstream },
    { name: 'b', listen: '127.0.0.1:0', upstream },
  ]);
  assert.deepStrictEqual(Object.keys(all).sort(), ['a', 'b']);
  assert.deepStrictEqual(Object.keys(await toxiproxy.getAll()).sort(), ['a', 'b']);
  await (await toxiproxy.get('b')).remove();
  await assert.rejects(toxiproxy.get('b'));
  console.log('done');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
