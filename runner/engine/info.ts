import { existsSync } from "node:fs";
import type { Engine } from "./engine.ts";
import { list } from "./list.ts";
import { processLimiter } from "./process-limit.ts";

/** What `tsbox info` tells. */
export async function info(engine: Engine, version: string): Promise<object> {
  const containers = list(engine, { all: true });
  const identity = engine.identity();
  const storage = await engine.storage();
  const running = containers.filter(({ state }) => state.status === "running").length;
  const paused = containers.filter(({ state }) => state.status === "paused").length;
  return {
    Version: version,
    StoreRoot: engine.root,
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Driver: storage.driver,
    DriverReason: storage.why,
    KernelVersion: engine.host.kernel,
    Architecture: engine.host.arch,
    NodeVersion: process.version,
    User: engine.host.user,
    Rootless: engine.host.uid !== 0,
    Identity: identity.kind,
    // as docker; limits, and a pause that cannot be noticed, need 2
    CgroupVersion: existsSync("/sys/fs/cgroup/cgroup.controllers") ? "2" : "1",
    ProcessLimit: processLimiter(engine.host).by,
    UidMap: identity.uidMap,
    GidMap: identity.gidMap,
  };
}
