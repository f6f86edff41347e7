import type { Phase } from "../progress.ts";

interface PhaseText {
  word: string;
  /** It has a bar. */
  moving: boolean;
  /** Nothing more comes. */
  ended: boolean;
}

export const PHASES: Record<Phase, PhaseText> = {
  waiting: { word: "waiting", moving: false, ended: false },
  downloading: { word: "downloading", moving: true, ended: false },
  unpacking: { word: "extracting", moving: true, ended: false },
  done: { word: "pull complete", moving: false, ended: true },
  exists: { word: "already here", moving: false, ended: true },
  pushing: { word: "pushing", moving: true, ended: false },
  pushed: { word: "pushed", moving: false, ended: true },
  skipped: { word: "left to its maker to give away", moving: false, ended: true },
  mounted: { word: "mounted from another repository", moving: false, ended: true },
};
