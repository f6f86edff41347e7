/** The PORTS column: `0.0.0.0:8000-8005->80-85/tcp, [::]:8000-8005->80-85/tcp, 90/tcp`, as docker writes it. */

export interface PortBinding {
  containerPort: number;
  protocol: string;
  hostAddress: string;
  hostPort: number;
}

interface Run {
  address: string;
  protocol: string;
  /** 0: only exposed. */
  host: number;
  inside: number;
  count: number;
}

export function portsText(record: { ports?: readonly PortBinding[]; config?: object; network: string }): string {
  const published = record.ports ?? [];
  const runs: Run[] = [];
  const all = [...published.map(publishedRun), ...exposedRuns(record, published)];
  for (const one of all.sort(byPlace)) {
    const run = runs.find((other) => continues(other, one));
    if (run) run.count++;
    else runs.push(one);
  }
  return runs
    .sort((a, b) => a.inside - b.inside || Number(a.address.includes(":")) - Number(b.address.includes(":")))
    .map(runText)
    .join(", ");
}

function publishedRun({ hostAddress, protocol, hostPort, containerPort }: PortBinding): Run {
  return { address: hostAddress, protocol, host: hostPort, inside: containerPort, count: 1 };
}

/** With the host's network, what an image exposes is no more than a note. */
function exposedRuns(
  { config, network }: { config?: object; network: string },
  published: readonly PortBinding[],
): Run[] {
  const { ExposedPorts = {} } = (config ?? {}) as { ExposedPorts?: object };
  if (network === "host") return [];
  return Object.keys(ExposedPorts).flatMap((name) => {
    const [port = "", protocol = "tcp"] = name.split("/");
    const inside = Number(port);
    const known = published.some((one) => one.containerPort === inside && one.protocol === protocol);
    return known || !(inside > 0) ? [] : [{ address: "", protocol, host: 0, inside, count: 1 }];
  });
}

function byPlace(a: Run, b: Run): number {
  return a.inside - b.inside || a.host - b.host;
}

function continues(run: Run, next: Run): boolean {
  return (
    run.address === next.address &&
    run.protocol === next.protocol &&
    run.inside + run.count === next.inside &&
    (run.host === 0 ? next.host === 0 : run.host + run.count === next.host)
  );
}

function runText({ address, protocol, host, inside, count }: Run): string {
  const range = (first: number) => (count === 1 ? String(first) : `${first}-${first + count - 1}`);
  const outside = host === 0 ? "" : `${address.includes(":") ? `[${address}]` : address}:${range(host)}->`;
  return `${outside}${range(inside)}/${protocol}`;
}
