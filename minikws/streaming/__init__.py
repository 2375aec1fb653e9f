"""A sound that never ends: where it comes from, the words in it, and what is done with them.

::

    where sound comes from     sources; microphone (by _alsa or _portaudio, through inbox), resample
    from sound to words        live (with ring_buffer), recognize
    what follows a word        follower: log, mqtt, run_command, record (with recent_sound)
    a model held to account    synth and truth, evaluate, curve, mine (with recent_sound)
    afterwards                 log_table reads the diary; take cuts one spoken word for training
"""
