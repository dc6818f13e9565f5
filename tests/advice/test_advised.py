"""How the tests of this folder read advice."""

from advised import options_in


def test_options_are_read_with_their_values():
    assert options_in('choose with --images, such as --images "a_#.png".') == [["--images"], ["--images", "a_#.png"]]
    assert options_in("use --end 0.3 or re-encode it.") == [["--end", "0.3"]]
    assert options_in("--start 1.2 --end 3.4 keeps") == [["--start", "1.2"], ["--end", "3.4"]]
    assert options_in("so --crop 0 0 48 40.") == [["--crop", "0", "0", "48", "40"]]
    assert options_in("with --mask-values instrument=1,2; unknown") == [["--mask-values", "instrument=1,2"]]
    assert options_in("use --depth photometric or --depth auto") == [["--depth", "photometric"], ["--depth", "auto"]]
    assert options_in("--max-size or --stride make it lighter") == [["--max-size"], ["--stride"]]
