"""The HLS backend: prints the stages and streams of `backends.stream` as C++, which high-level synthesis turns into
hardware."""
