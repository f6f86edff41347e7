/**
 * How a container's root becomes the image's layers with what it writes on top: by the kernel's overlay; by fuse-overlayfs, where the kernel refuses
 * overlay or the store's file system cannot be its upper; by a copy of the tree, where neither can be had.
 */
export type StorageDriver = "overlay" | "fuse-overlayfs" | "copy";

export const STORAGE_DRIVERS: readonly StorageDriver[] = ["overlay", "fuse-overlayfs", "copy"];

/** What an `overlay` op says of its driver. */
export const DRIVER_FLAGS: Record<StorageDriver, readonly string[]> = {
  overlay: ["userxattr"],
  "fuse-overlayfs": ["fuse"],
  copy: ["copy"],
};
