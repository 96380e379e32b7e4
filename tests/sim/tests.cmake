# SPDX-License-Identifier: Apache-2.0
r53fwd_test(sim zone)
r53fwd_test(sim fault)
r53fwd_test(sim response)
r53fwd_test(sim watch)
r53fwd_test(sim port)
r53fwd_test(sim endpoint)
r53fwd_test(sim control)
target_link_options(test_sim_control PRIVATE -Wl,--wrap=listen)

# The forwarder on a virtual clock.
set(CROWD ${WORLD} ${CMAKE_CURRENT_SOURCE_DIR}/lib/crowd.c)
r53fwd_test(sim trace_outage SOURCES ${CROWD} LIBRARIES server)
r53fwd_test(sim trace_guard SOURCES ${CROWD} LIBRARIES server)
r53fwd_test(sim trace_faults SOURCES ${CROWD} LIBRARIES server)
r53fwd_test(sim trace_long SOURCES ${CROWD} LIBRARIES server)
r53fwd_test(sim trace_path SOURCES ${CROWD} LIBRARIES server)
r53fwd_test(sim trace_others SOURCES ${CROWD} LIBRARIES server)
