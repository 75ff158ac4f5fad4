"""Read jobs: frames, filmstrips, waveforms, moments, proxies and plans."""
