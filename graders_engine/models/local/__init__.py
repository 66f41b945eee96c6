"""Models that are answered on this machine, without HTTP: as judges and as models of runs."""
