# SPDX-License-Identifier: Apache-2.0
# jansson is the oracle for the schema that we print by hand.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

foreach(unit diagnostic suggest yaml option reader endpoints services reverse expect warm zones resolv config)
  r53fwd_test(config ${unit})
endforeach()
r53fwd_test(config print LIBRARIES PkgConfig::JANSSON)
# Every allocation fails once.
r53fwd_test(config out_of_memory)
r53fwd_faults(test_config_out_of_memory)
