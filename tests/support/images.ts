/**
 * Images for the tests: the official ones in ../shared/images (or $TSBOX_SHARED/images) where that folder is,
 * otherwise images that this machine makes, so that the tests of a clone pass anywhere.
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { ROOT, runProgram } from "./tsbox.ts";

const SHARED = resolve(process.env.TSBOX_SHARED ?? join(ROOT, "../shared"), "images");

export interface ImageArchive {
  /** OCI archive or layout in a tar. */
  path: string;
  /** The name it has once loaded. */
  reference: string;
}

/** An image with busybox and its applets in PATH. */
export function busyboxArchive(): ImageArchive {
  const official = join(SHARED, "busybox-oci.tar");
  if (existsSync(official)) return { path: official, reference: "busybox:1.37.0-glibc" };
  return { path: join(ROOT, "dist/base.tar"), reference: "base:latest" };
}

export interface RootTarball {
  path: string;
  /** A file of the root that tells its release, and what it says. */
  releaseFile: string;
  release: RegExp;
}

/** A whole distribution's root: Alpine's official one, else a small Debian made by mmdebstrap (undefined without it). */
export async function rootTarball(): Promise<RootTarball | undefined> {
  const official = join(SHARED, "alpine-minirootfs-3.20.3-x86_64.tar.gz");
  if (existsSync(official)) return { path: official, releaseFile: "/etc/alpine-release", release: /^3\.20\.3$/m };
  const folder = join(ROOT, "build/test-images");
  const made = join(folder, "debian-root.tar");
  const result: RootTarball = { path: made, releaseFile: "/etc/debian_version", release: /^(\d+(\.\d+)?|\w+\/sid)$/m };
  if (existsSync(made)) return result;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${made}.${process.pid}.tar`;
  // a mirror that says nothing is one that is not there
  const make = ["200", "mmdebstrap", "--quiet", "--variant=essential", "stable", unfinished];
  const { code } = await runProgram("timeout", make).catch(() => ({ code: 127 }));
  if (code !== 0) return undefined;
  renameSync(unfinished, made);
  return result;
}
