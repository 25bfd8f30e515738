{
nodes: [
{backends}
],
host: '{listen_ip}',
port: {listen_port},
mgmt_address: '{management_ip}',
mgmt_port: {management_port},
server: './servers/udp',
forkCount: 0,
checkInterval: 1000,
cacheSize: 10000
}
