"""What the operating system gives: files that may be anything, memory, disks, processors, the terminal."""
