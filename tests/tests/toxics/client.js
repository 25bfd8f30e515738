// Drives a server of links with npm's toxiproxy-node-client, unchanged.
'use strict';
const assert = require('assert');
let client;
try {
  client = require('toxiproxy-node-client');
} catch (error) {
  process.exit(77);
}
const { Toxiproxy } = client;
const [api, upstream] = process.argv.slice(2);

(async () => {
  const toxiproxy = new Toxiproxy('http://' + api);
  assert.match(JSON.stringify(await toxiproxy.getVersion()), /2\.12\.0/);
  const proxy = await toxiproxy.createProxy({ name: 'a', listen: '127.0.0.1:0', upstream });
  assert.strictEqual(proxy.enabled, true);
  await assert.rejects(toxiproxy.createProxy({ name: 'a', listen: '127.0.0.1:0', upstream }));
  const toxic = { name: 'slow', type: 'latency', stream: 'upstream', toxicity: 1 };
  const added = await proxy.addToxic({ ...toxic, attributes: { latency: 100, jitter: 10 } });
  assert.deepStrictEqual(added.attributes, { latency: 100, jitter: 10 });
  assert.strictEqual(added.stream, 'upstream');
  const updated = await added.update({ ...toxic, attributes: { jitter: 5 } });
  assert.deepStrictEqual(updated.attributes, { latency: 100, jitter: 5 });
  await updated.remove();
  await assert.rejects(proxy.addToxic({ type: 'fever', attributes: {} }));
  const down = await proxy.update({ enabled: false, listen: proxy.listen, upstream });
  assert.strictEqual(down.enabled, false);
  assert.strictEqual(down.listen, proxy.listen);
  await toxiproxy.reset();
  assert.strictEqual((await toxiproxy.get('a')).enabled, true);
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
