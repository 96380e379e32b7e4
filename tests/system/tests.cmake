# SPDX-License-Identifier: Apache-2.0
# r53fwd_system(NAME [HEAVY]): tests/system/test_NAME.py: what is shipped, on hosts of a kind: containers, namespaces, chroots. Status 77:
# skipped, and it says why. HEAVY ones install packages or build everything anew: `./dev test --system` runs them. Nothing here is for
# sanitizers: what is examined is not the programs' memory.
function(r53fwd_system name)
  cmake_parse_arguments(SYSTEM "HEAVY" "" "" ${ARGN})
  if(R53FWD_SANITIZE OR r53fwd_no_dnspython)
    return()
  endif()
  add_test(NAME system/${name} COMMAND ${R53FWD_PYTHON} -B ${CMAKE_SOURCE_DIR}/tests/system/test_${name}.py)
  set_tests_properties(system/${name} PROPERTIES
    LABELS $<IF:$<BOOL:${SYSTEM_HEAVY}>,system,e2e>
    TIMEOUT 1200
    SKIP_RETURN_CODE 77
    ENVIRONMENT "R53FWD=$<TARGET_FILE:r53fwd>;R53SIM=$<TARGET_FILE:r53sim>;R53FWD_SOURCE=${CMAKE_SOURCE_DIR}")
  if(SYSTEM_HEAVY)
    set_tests_properties(system/${name} PROPERTIES RESOURCE_LOCK debian) # they share the base that is installed once
  endif()
endfunction()

r53fwd_system(pod)
r53fwd_system(two_hosts)
r53fwd_system(anycast)
r53fwd_system(manifests)
r53fwd_system(package HEAVY)
r53fwd_system(switch_over HEAVY)
r53fwd_system(elsewhere HEAVY)
r53fwd_system(fuzzers HEAVY)
