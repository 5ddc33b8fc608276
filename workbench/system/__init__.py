"""The operating system: files that may be anything, memory, disks, processors, processes with limits, the terminal."""
