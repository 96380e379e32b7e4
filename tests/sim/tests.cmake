# SPDX-License-Identifier: Apache-2.0
r53fwd_test(sim zone)
r53fwd_test(sim fault)
r53fwd_test(sim response)
r53fwd_test(sim watch)
r53fwd_test(sim port)
r53fwd_test(sim endpoint)
r53fwd_test(sim control)

# The forwarder on a virtual clock.
foreach(story outage guard faults long path)
  r53fwd_test(sim trace_${story} SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/lib/world.c ${CMAKE_CURRENT_SOURCE_DIR}/lib/crowd.c
    LIBRARIES server)
endforeach()
