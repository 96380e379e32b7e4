# SPDX-License-Identifier: Apache-2.0
# r53fwd_e2e(NAME [TIMEOUT s]): tests/e2e/test_NAME.py, which runs the programs that were built beside it. Status 77: skipped, and it
# says why.
# The system's own Python first: it is the one that python3-dnspython belongs to, whatever else stands in PATH.
find_program(R53FWD_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(R53FWD_PYTHON python3 REQUIRED)
execute_process(COMMAND ${R53FWD_PYTHON} -c "import dns.message" RESULT_VARIABLE r53fwd_no_dnspython OUTPUT_QUIET ERROR_QUIET)
if(r53fwd_no_dnspython)
  message(WARNING "python3-dnspython is missing: no end-to-end tests")
endif()

function(r53fwd_e2e name)
  cmake_parse_arguments(E2E "" "TIMEOUT" "" ${ARGN})
  if(r53fwd_no_dnspython)
    return()
  endif()
  if(NOT E2E_TIMEOUT)
    set(E2E_TIMEOUT 600)
  endif()
  add_test(NAME e2e/${name} COMMAND ${R53FWD_PYTHON} -B ${CMAKE_SOURCE_DIR}/tests/e2e/test_${name}.py)
  set_tests_properties(e2e/${name} PROPERTIES
    LABELS e2e
    TIMEOUT ${E2E_TIMEOUT}
    SKIP_RETURN_CODE 77
    ENVIRONMENT
      "R53FWD=$<TARGET_FILE:r53fwd>;R53FWD_HTTP=$<TARGET_FILE:r53fwd-http>;R53SIM=$<TARGET_FILE:r53sim>;R53FWD_SOURCE=${CMAKE_SOURCE_DIR}")
endfunction()

# The daemon whose calls can be made to fail: tests/lib/faults.h.
add_executable(r53fwd_faulty ${CMAKE_SOURCE_DIR}/src/cli/main.c)
target_link_libraries(r53fwd_faulty PRIVATE cli)
r53fwd_faults(r53fwd_faulty)
r53fwd_e2e(faults)
if(NOT r53fwd_no_dnspython)
  set_property(TEST e2e/faults APPEND PROPERTY ENVIRONMENT "R53FWD_FAULTY=$<TARGET_FILE:r53fwd_faulty>"
    "R53FWD_HOLES=${R53FWD_HOLES}")
endif()

r53fwd_e2e(sim)
r53fwd_e2e(log)
r53fwd_e2e(behaviour)
r53fwd_e2e(fineprint)
r53fwd_e2e(real_servers)
r53fwd_e2e(guard)
r53fwd_e2e(outage)
r53fwd_e2e(takeover)
r53fwd_e2e(namespaces)
r53fwd_e2e(persist)
r53fwd_e2e(doctor)
r53fwd_e2e(control)
r53fwd_e2e(schema)
r53fwd_e2e(command_line)
r53fwd_e2e(completion)
r53fwd_e2e(explain)
r53fwd_e2e(systemd)
r53fwd_e2e(sandbox)
r53fwd_e2e(hostile)
r53fwd_e2e(clients)
r53fwd_e2e(http)
r53fwd_e2e(page)
r53fwd_e2e(import)
r53fwd_e2e(status)
