/** Files that a person drops or picks, folders with all that is in them. */

export interface Dropped {
  /** From where it was dropped, with folders. */
  path: string;
  file: File;
}

export async function filesOf(transfer: DataTransfer): Promise<Dropped[]> {
  // entries are gone once this turn is over
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  return (await Promise.all(entries.map((entry) => entry ? walk(entry) : []))).flat();
}

export function pickedFiles(files: FileList): Dropped[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

async function walk(entry: FileSystemEntry): Promise<Dropped[]> {
  if (entry.isFile) {
    const own = entry as FileSystemFileEntry;
    const file = await new Promise<File>((resolve, reject) => own.file(resolve, reject));
    return [{ path: entry.fullPath.slice(1), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    // a hundred at a time
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (some.length === 0) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(walk))).flat();
}
